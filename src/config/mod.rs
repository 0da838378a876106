//! Settings from flags, environment and files, resolved once.
