//! `noxide report`, JUnit, benchmarks, imported history, and records of older versions.

mod bench;
mod compare;
mod formats;
mod generated_runs;
mod history_import;
mod junit;
mod old_records;
mod page;
