//! Workflows executed for real, before and after.
