//! Color mode from the flag and from variables that other tools use too.

use crate::run::NamedChoice;

/// When to color output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMode {
    /// On terminals that support it.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl NamedChoice for ColorMode {
    const CHOICES: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
}

impl ColorMode {
    /// Returns the mode of the flag, otherwise of `NOXIDE_COLOR`, `NO_COLOR`, `FORCE_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`.
    ///
    /// An empty variable is ignored, and so is an unknown value of `NOXIDE_COLOR`.
    pub(crate) fn from_environment(flag: Option<Self>, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let on =
            |name: &str| get(name).map(|value| !matches!(&*value.to_ascii_lowercase(), "0" | "false" | "no" | "off"));
        if let Some(choice) = flag.or_else(|| get("NOXIDE_COLOR").and_then(|name| Self::from_name(&name))) {
            return choice;
        }
        if get("NO_COLOR").is_some() {
            return Self::Never;
        }
        if on("FORCE_COLOR").or(on("CLICOLOR_FORCE")) == Some(true) {
            return Self::Always;
        }
        if on("FORCE_COLOR") == Some(false) || on("CLICOLOR") == Some(false) { Self::Never } else { Self::Auto }
    }

    /// Returns whether to color a stream; a `dumb` terminal is colored only with `Always`.
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
    fn the_flag_wins_over_the_variables() {
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
    fn auto_colors_terminals_only() {
        assert!(ColorMode::Auto.should_color(true, Some("xterm")));
        assert!(ColorMode::Auto.should_color(true, None));
        assert!(!ColorMode::Auto.should_color(true, Some("dumb")));
        assert!(!ColorMode::Auto.should_color(false, Some("xterm")));
        assert!(ColorMode::Always.should_color(false, Some("dumb")));
        assert!(!ColorMode::Never.should_color(true, Some("xterm")));
    }
}
