//! `noxide cache`: the store against real uv caches, filled from an index of the tests' own.

mod damage;
mod fixture;
mod store;
