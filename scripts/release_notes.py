#!/usr/bin/env python3
"""Prints the release notes of a version: its section of CHANGELOG.md.

    python3 scripts/release_notes.py 0.2.0        # notes of 0.2.0
    python3 scripts/release_notes.py --tag v0.2.0 # the same, after checking that the tag names the version of Cargo.toml
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def cargo_version(text: str) -> str:
    """The version of the package in Cargo.toml, the only place that has it."""
    match = re.search(r'^version = "([^"]+)"', text, re.M)
    if match is None:
        raise SystemExit("error: Cargo.toml has no version")
    return match[1]


def check_tag(tag: str, version: str) -> None:
    """Ends with a message if the tag is not that of a release of this version."""
    if "-dev" in version:
        raise SystemExit(f"error: {version} in Cargo.toml is not the version of a release; remove `-dev` before the tag")
    if tag != f"v{version}":
        raise SystemExit(f"error: the tag is {tag}, but Cargo.toml has {version}; tag this commit as v{version}")


def notes(changelog: str, version: str) -> str:
    """The section of a version, without its heading."""
    match = re.search(rf"^## \[?{re.escape(version)}\]?(?: [^\n]*)?\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if match is None or not match[1].strip():
        raise SystemExit(f"error: CHANGELOG.md has no section `## [{version}]` with content")
    return match[1].strip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("version", nargs="?", help="a version, or Unreleased [default: that of Cargo.toml]")
    parser.add_argument("--tag", help="check that this tag names the version of Cargo.toml")
    options = parser.parse_args()
    version = cargo_version((ROOT / "Cargo.toml").read_text())
    if options.tag:
        check_tag(options.tag, version)
    sys.stdout.write(notes((ROOT / "CHANGELOG.md").read_text(), options.version or version))


if __name__ == "__main__":
    main()
