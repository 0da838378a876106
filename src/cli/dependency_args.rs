//! Flags that say how dependencies are kept and had.

use std::time::Duration;

use clap::Args;

use super::value_parser::choice_parser;
use crate::config::parse_duration;
use crate::provision::CacheMode;

/// Flags that say how dependencies are kept and had.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Dependencies")]
pub struct DependencyArgs {
    /// Use the cache and skip needless installs: auto, off or require [default: auto] [env: NOXIDE_CACHE]
    #[arg(long, value_name = "WHEN", hide_possible_values = true, value_parser = choice_parser::<CacheMode>())]
    pub(crate) cache: Option<CacheMode>,
    /// Give installs that ignore uv.lock its versions [env: NOXIDE_LOCKED]
    #[arg(long, overrides_with = "no_locked")]
    pub(crate) locked: bool,
    /// Leave such installs alone (the default)
    #[arg(long, overrides_with = "locked", hide_short_help = true)]
    pub(crate) no_locked: bool,
    /// Take what the package index said so long ago, such as 1h [default: ask it] [env: NOXIDE_MAX_AGE]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub(crate) max_age: Option<Duration>,
}

impl DependencyArgs {
    /// Whether installs are held to the lock, if a flag says so.
    pub(crate) fn locked_override(&self) -> Option<bool> {
        (self.locked || self.no_locked).then_some(self.locked)
    }
}
