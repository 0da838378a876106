//! Identifiers of runs.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Returns an identifier for a new run: the time to the millisecond, so that identifiers sort, and random digits,
/// because the identifier marks the processes of the run and must be unique on the machine.
pub(crate) fn new_run_id() -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S.%3f");
    format!("{now}-{:06x}", random_u64() & 0xff_ffff)
}

/// Returns an unpredictable number: the standard library seeds its hashers from the system.
pub(crate) fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Returns a key that sorts runs by time. A run from a clock that is more than a day ahead of the current time sorts before
/// all others: otherwise it would always be the last run.
pub(super) fn plausible_run_order(run_id: &str) -> (bool, String) {
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let is_plausible = !is_run_id(run_id) || run_id < tomorrow.strftime("%Y%m%d-%H%M%S").to_string().as_str();
    (is_plausible, run_id.to_owned())
}

/// Returns whether a name has the form of a run identifier.
pub(super) fn is_run_id(name: &str) -> bool {
    const FORM: &[u8] = b"00000000-000000.000-ffffff";
    let fits = |(byte, form): (u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        b'f' => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        _ => byte == *form,
    };
    name.len() == FORM.len() && name.bytes().zip(FORM).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_identifiers_have_the_form_and_names_of_other_directories_do_not() {
        assert!(is_run_id(&new_run_id()));
        for name in ["", "src", "20261130-073134", "20261130-073134.123-00000g", "20261130-073134.123-0000001"] {
            assert!(!is_run_id(name), "{name}");
        }
    }
}
