#!/usr/bin/env python3
"""Line coverage of our own code, file by file, from an lcov file; exit code 1 below the floor."""

from __future__ import annotations

import argparse
import pathlib
import re
import sys


def read_lcov(path: pathlib.Path, root: pathlib.Path) -> dict[str, dict[int, int]]:
    """Counts by line by file, for the files below `src/` of the repository."""
    files: dict[str, dict[int, int]] = {}
    lines: dict[int, int] = {}
    for row in path.read_text().splitlines():
        kind, _, value = row.partition(":")
        if kind == "SF":
            lines = {}
            source = (root / value).resolve()
            if source.is_relative_to(root / "src"):
                lines = files.setdefault(source.relative_to(root).as_posix(), {})
        elif kind == "DA":
            line, count = map(int, value.split(",")[:2])
            lines[line] = max(lines.get(line, 0), count)
    return files


def first_test_line(source: str) -> int:
    """Line of the `#[cfg(test)]` that opens the file's tests; past the end when there is none."""
    found = re.search(r"^#\[cfg\(test\)\]\n(?:#\[.*\]\n)*mod \w+ \{", source, re.MULTILINE)
    return source.count("\n", 0, found.start()) + 1 if found else sys.maxsize


def read_exclusions(path: pathlib.Path) -> dict[str, str]:
    """Reason by file."""
    rows = [row for row in path.read_text().splitlines() if row.strip() and not row.startswith("#")]
    parts = [row.split("  ", 1) for row in rows]
    for row, part in zip(rows, parts):
        if len(part) != 2 or not part[1].strip():
            sys.exit(f"{path}: no reason in: {row}")
    return {name: reason.strip() for name, reason in parts}


def spans(lines: list[int]) -> str:
    """`3-5, 9` for 3, 4, 5, 9."""
    found: list[list[int]] = []
    for line in lines:
        if found and line == found[-1][1] + 1:
            found[-1][1] = line
        else:
            found.append([line, line])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lcov", type=pathlib.Path)
    parser.add_argument("exclusions", type=pathlib.Path)
    parser.add_argument("--floor", type=float, required=True)
    options = parser.parse_args()
    root = pathlib.Path.cwd().resolve()
    excluded = read_exclusions(options.exclusions)
    for name in excluded:
        if not (root / name).is_file():
            sys.exit(f"{options.exclusions}: no such file: {name}")
    all_lines = all_covered = 0
    print(f"{'file':<44} {'lines':>6} {'run':>6} {'%':>6}  not run")
    for name, lines in sorted(read_lcov(options.lcov, root).items()):
        end = first_test_line((root / name).read_text())
        own = {line: count for line, count in lines.items() if line < end}
        if not own:
            continue
        missed = sorted(line for line, count in own.items() if not count)
        covered = len(own) - len(missed)
        note = f"left out: {excluded[name]}" if name in excluded else spans(missed)
        print(f"{name:<44} {len(own):>6} {covered:>6} {100 * covered / len(own):>6.1f}  {note}")
        if name not in excluded:
            all_lines += len(own)
            all_covered += covered
    if not all_lines:
        sys.exit("no line of src/ in the report: the tests ran without counters")
    share = 100 * all_covered / all_lines
    print(f"{'all, tests themselves not counted':<44} {all_lines:>6} {all_covered:>6} {share:>6.2f}")
    if share < options.floor:
        print(f"line coverage {share:.2f} % is below {options.floor:g} %")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
