//! Whether to colour: the flag, then the variables that other tools heed too.

use crate::run::NamedChoice;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMode {
    /// Where people look: on a terminal that can.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl NamedChoice for ColorMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}

impl ColorMode {
    /// The choice that counts: the flag, else `NOXIDE_COLOR`, `NO_COLOR`, `FORCE_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`.
    ///
    /// A variable that is empty says nothing; a word that `NOXIDE_COLOR` does not know says nothing either.
    pub(crate) fn from_environment(flag: Option<Self>, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let said = |name: &str| variable(name).filter(|value| !value.is_empty());
        let on =
            |name: &str| said(name).map(|value| !matches!(&*value.to_ascii_lowercase(), "0" | "false" | "no" | "off"));
        if let Some(choice) = flag.or_else(|| said("NOXIDE_COLOR").and_then(|word| Self::from_name(&word))) {
            return choice;
        }
        if said("NO_COLOR").is_some() {
            return Self::Never;
        }
        if on("FORCE_COLOR").or(on("CLICOLOR_FORCE")) == Some(true) {
            return Self::Always;
        }
        if on("FORCE_COLOR") == Some(false) || on("CLICOLOR") == Some(false) { Self::Never } else { Self::Auto }
    }

    /// Whether to colour what goes to a stream; a terminal that calls itself `dumb` gets colours only by force.
    pub(crate) fn should_color(self, is_terminal: bool, term: Option<&str>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => is_terminal && term != Some("dumb"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(flag: Option<ColorMode>, variables: &[(&str, &str)]) -> ColorMode {
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        ColorMode::from_environment(flag, &variable)
    }

    #[test]
    fn the_flag_wins_then_the_variables_in_turn() {
        use ColorMode::{Always, Auto, Never};
        assert_eq!(choose(Some(Auto), &[("NO_COLOR", "1")]), Auto);
        assert_eq!(choose(None, &[("NOXIDE_COLOR", "always"), ("NO_COLOR", "1")]), Always);
        assert_eq!(choose(None, &[("NOXIDE_COLOR", "pink"), ("NO_COLOR", "1")]), Never);
        assert_eq!(choose(None, &[("NO_COLOR", "1"), ("FORCE_COLOR", "1")]), Never);
        assert_eq!(choose(None, &[("NO_COLOR", ""), ("FORCE_COLOR", "3")]), Always);
        assert_eq!(choose(None, &[("FORCE_COLOR", "0")]), Never);
        assert_eq!(choose(None, &[("CLICOLOR_FORCE", "1"), ("CLICOLOR", "0")]), Always);
        assert_eq!(choose(None, &[("CLICOLOR_FORCE", "0")]), Auto);
        assert_eq!(choose(None, &[("CLICOLOR", "0")]), Never);
        assert_eq!(choose(None, &[]), Auto);
    }

    #[test]
    fn auto_looks_at_the_terminal() {
        assert!(ColorMode::Auto.should_color(true, Some("xterm")));
        assert!(ColorMode::Auto.should_color(true, None));
        assert!(!ColorMode::Auto.should_color(true, Some("dumb")));
        assert!(!ColorMode::Auto.should_color(false, Some("xterm")));
        assert!(ColorMode::Always.should_color(false, Some("dumb")));
        assert!(!ColorMode::Never.should_color(true, Some("xterm")));
    }
}
