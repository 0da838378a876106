//! `--help` of each subcommand as snapshots.

use clap::CommandFactory;
use noxide::cli::Cli;

/// Help as a terminal of 100 columns shows it: `-h`, or `--help` with all flags.
fn help(subcommand: &str, long: bool) -> String {
    let mut root = Cli::command().term_width(100);
    root.build();
    let command = if subcommand.is_empty() { &mut root } else { root.find_subcommand_mut(subcommand).unwrap() };
    if long { command.render_long_help().to_string() } else { command.render_help().to_string() }
}

#[test]
fn help_of_each_subcommand() {
    insta::assert_snapshot!("help_noxide", help("", true));
    insta::assert_snapshot!("help_run_short", help("run", false));
    for subcommand in [
        "run",
        "list",
        "graph",
        "logs",
        "runs",
        "replay",
        "report",
        "trace",
        "bench",
        "history",
        "audit",
        "init",
        "cache",
        "ci",
        "matrix",
        "merge",
        "gate",
        "schema",
        "completions",
        "man",
    ] {
        insta::assert_snapshot!(format!("help_{subcommand}"), help(subcommand, true));
    }
}

/// Without `-s`, these do not select the noxfile's default sessions.
#[test]
fn cache_subcommands_have_their_own_default_selection() {
    let help = help_of_nested("cache", "restore");
    assert!(help.contains("[default: all packages of uv.lock]") && !help.contains("default sessions"), "{help}");
    let help = help_of_nested("cache", "save");
    assert!(help.contains("[default: everything in uv's cache]") && !help.contains("default sessions"), "{help}");
    assert!(help_of_nested("cache", "key").contains("[default: the noxfile's default sessions]"));
}

/// These install nothing: `--locked` selects what they restore or print.
#[test]
fn cache_subcommands_have_their_own_help_of_locked() {
    assert!(
        help_of_nested("cache", "restore").contains("With sessions: restore what `noxide run --locked` would install")
    );
    assert!(help_of_nested("cache", "key").contains("Print the key for `noxide run --locked`"));
}

fn help_of_nested(command: &str, subcommand: &str) -> String {
    let mut root = Cli::command().term_width(300);
    root.build();
    let command = root.find_subcommand_mut(command).unwrap().find_subcommand_mut(subcommand).unwrap();
    command.render_long_help().to_string()
}

/// Every flag has a heading and a help text.
#[test]
fn every_flag_has_a_heading_and_a_word_of_help() {
    let mut root = Cli::command();
    root.build();
    for command in root.get_subcommands() {
        for argument in command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "run"))
        {
            let name = format!("{} {}", command.get_name(), argument.get_id());
            assert!(argument.get_help_heading().is_some() || argument.is_hide_set(), "{name} has no heading");
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty(), "{name} has no help");
            assert!(!help.ends_with('.'), "{name}: help is a phrase");
        }
    }
}
