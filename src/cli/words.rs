//! Flags that take one of a few words.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::run::Words;

/// A parser for a choice among words.
pub(super) fn words<T: Words + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::WORDS.iter().map(|(word, _)| *word))
        .try_map(|word| T::from_word(&word).ok_or("not one of the words above"))
}
