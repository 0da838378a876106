//! `noxide report`: its page in a real browser, its other forms, and what it refuses.

mod compare;
mod page;
mod runs;
mod words;
