//! Flags that take one of a few words.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::run::NamedChoice;

/// A parser for a choice among words.
pub(super) fn choice_parser<T: NamedChoice + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::CHOICES.iter().map(|(word, _)| *word))
        .try_map(|word| T::from_name(&word).ok_or("not one of the words above"))
}
