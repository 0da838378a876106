//! `noxide audit` on whole projects: what it finds, what it mends, and what others say of the result.

mod act;
mod cases;
mod command;
mod generated;
mod golden;
mod hostile;
mod judges;
mod lookalikes;
mod mending;
mod project;
mod speed;
mod spreading;
