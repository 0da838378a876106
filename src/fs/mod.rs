//! Files handled with care: atomic writes, locks, trees.
