#!/usr/bin/env python3
"""The example's races: what tracing finds against what its README says, and whether what `--apply` writes ends them."""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bench
import equal

DATABASE = "build/.template-migrated.db"
EXPECTED = {tuple(sorted(pair)) for pair in itertools.combinations(["unit_tests", "integration_tests", "coverage_report"], 2)}
"""The pairs that the example's README names for its sessions as `nox` runs them, all on one database."""


def find(project: equal.Project, expected: equal.Statuses) -> bool:
    """Whether `noxide trace --apply` finds those races, nothing else, and sessions that end as they do untraced."""
    with (project.logs / "trace.log").open("w") as log:
        command = [project.tools.noxide, "trace", "--apply", "--format", "json"]
        done = subprocess.run(command, cwd=project.directory, env=project.env, stdout=subprocess.PIPE, stderr=log, check=True)
    document = json.loads(done.stdout)
    races: dict[tuple[str, ...], set[str]] = {}
    for race in document["conflicts"]:
        races.setdefault(tuple(sorted(race["sessions"])), set()).add(f"{race['kind']} {race['path']}")
    for pair, what in sorted(races.items()):
        print(f"{' and '.join(pair)}: {', '.join(sorted(what))}")
    paths = {path.partition(" ")[2].removesuffix("-journal") for what in races.values() for path in what}
    incomplete = [each["session"] for each in document["sessions"] if not each["complete"]]
    newest = max((project.directory / ".nox/.noxide" / "runs").iterdir(), key=lambda run: run.name)
    record = json.loads((newest / "record.json").read_text())
    statuses = {each["name"]: each["result"]["outcome"] for each in record["sessions"]}
    differing = {name: statuses.get(name) for name in expected if statuses.get(name) != expected[name]}
    print(f"races: {len(races)} pairs, {len(EXPECTED)} expected, on {', '.join(sorted(paths))}; "
          f"traces incomplete: {', '.join(incomplete) or 'none'}; statuses that differ from nox one by one: {differing or 'none'}",
          flush=True)
    return set(races) == EXPECTED and paths == {DATABASE} and not incomplete and not differing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs after the settings are written (20)")
    parser.add_argument("--tries", type=int, default=10, help="tries to see the race before (10)")
    bench.add_tools(parser)
    options = parser.parse_args()
    tools = bench.find_tools(options)
    with tempfile.TemporaryDirectory(prefix="noxide-raced-") as temporary:
        project = equal.Project(pathlib.Path(temporary), tools)
        project.run([tools.nox], "environments")
        good = equal.show_race(project, options.tries)  # takes the example's locks away
        expected = project.one_by_one("nox")
        good &= find(project, expected)
        checked = project.run([tools.noxide, "trace", "--check"], "check")
        print(f"--check after --apply: exit {checked}", flush=True)
        settings = subprocess.run(["git", "diff", "-U0", "HEAD", "--", "pyproject.toml"], cwd=project.directory, capture_output=True, text=True)
        print("\n".join(line for line in settings.stdout.splitlines() if line.startswith("+")))
        green = 0
        for number in range(1, options.runs + 1):
            # As the race was seen: nothing is known but what stands in the settings.
            shutil.rmtree(project.directory / ".nox/.noxide", ignore_errors=True)
            code, found = project.side_by_side(f"after {number}", "-j", "2", "-s", *equal.RACERS)
            green += code == 0
            bench.tell(f"after --apply: run {number}: exit {code}" + ("" if code == 0 else f", {found}"))
        print(f"after --apply: {green} of {options.runs} runs green, by the order that made it fail before")
    return 0 if good and checked == 0 and green == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
