#!/usr/bin/env python3
"""Runs the example many times: same statuses and exit code as nox one by one; without its locks, the planted race shows."""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bench
import cases
import measure

SESSIONS = [
    "lint", "format", "typecheck", "security_scan", "dead_code", "unit_tests",
    "integration_tests", "docs", "build", "benchmark", "coverage_report",
]
RACERS = ["typecheck", "unit_tests", "coverage_report"]
Statuses = dict[str, str]


class Project:
    """A copy of the example and the programs that run it."""

    def __init__(self, directory: pathlib.Path, tools: cases.Tools) -> None:
        self.directory = directory
        self.tools = tools
        self.env = bench.environment(tools)
        self.logs = bench.TARGET / "bench" / "equal"
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        cases.copy_parcelbook(directory, tools)

    def run(self, command: list[str], log: str) -> int:
        return measure.run(command, self.directory, self.env, self.logs / f"{log}.log").code

    def one_by_one(self, log: str) -> Statuses:
        """What each session comes to in a nox of its own."""
        codes = {name: self.run([self.tools.nox, "-s", name], f"{log} {name}") for name in SESSIONS}
        return {name: "passed" if code == 0 else "failed" for name, code in codes.items()}

    def side_by_side(self, log: str, *arguments: str) -> tuple[int, Statuses]:
        """Exit code and statuses of one run of noxide, by its record."""
        code = self.run([self.tools.noxide, "run", *arguments], log)
        newest = max((self.directory / ".nox/.noxide" / "runs").iterdir(), key=lambda run: run.name)
        record = json.loads((newest / "record.json").read_text())
        assert record["exit_code"] == code, f"the record says {record['exit_code']}, the process {code}"
        return code, {session["name"]: session["result"]["outcome"] for session in record["sessions"]}

    def git_status(self) -> str:
        done = subprocess.run(["git", "status", "--short"], cwd=self.directory, capture_output=True, text=True, check=True)
        return done.stdout

    def edit(self, number: str, *flags: str) -> None:
        """Applies one of the example's edits."""
        (patch,) = (self.directory / "edits").glob(f"{number}-*.patch")
        subprocess.run(["git", "apply", *flags, str(patch)], cwd=self.directory, check=True)


def compare(project: Project, what: str, runs: int) -> bool:
    """Whether every run side by side equals the sessions one by one."""
    slots = str(project.tools.cores)
    expected = project.one_by_one(f"{what} nox")
    status = project.git_status()
    expected_code = int("failed" in expected.values())
    same = 0
    for number in range(1, runs + 1):
        code, found = project.side_by_side(f"{what} noxide {number}", "-j", slots)
        differing = {name: found.get(name) for name in SESSIONS if found.get(name) != expected[name]}
        is_same = not differing and code == expected_code and project.git_status() == status
        same += is_same
        bench.tell(f"{what}: run {number}: exit {code}" + ("" if is_same else f", differs: {differing}"))
    failed = [name for name in SESSIONS if expected[name] == "failed"]
    print(f"{what}: {same} of {runs} runs equal nox one by one (failing there: {', '.join(failed) or 'none'})")
    return same == runs


def show_race(project: Project, tries: int) -> bool:
    """Whether the race shows when the locks are gone, at the offset that springs it: 3 to 5 s."""
    project.edit("12")
    for number in range(1, tries + 1):
        # Without history the order is that of the file: the third starts when the first is over.
        shutil.rmtree(project.directory / ".nox/.noxide", ignore_errors=True)
        code, found = project.side_by_side(f"race {number}", "-j", "2", "-s", *RACERS)
        assert set(found) == set(RACERS), f"other sessions ran: {found}"
        if code:
            print(f"without locks: the race shows at try {number}: {found}")
            return True
    print(f"without locks: no race in {tries} tries")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs side by side (20)")
    parser.add_argument("--tries", type=int, default=10, help="tries to see the race (10)")
    bench.add_tools(parser)
    options = parser.parse_args()
    tools = bench.find_tools(options)
    with tempfile.TemporaryDirectory(prefix="noxide-equal-") as temporary:
        project = Project(pathlib.Path(temporary), tools)
        project.run([tools.nox], "environments")
        good = compare(project, "as it is", options.runs)
        project.edit("05")
        good &= compare(project, "with a failing scenario", max(1, options.runs // 10))
        project.edit("05", "--reverse")
        good &= show_race(project, options.tries)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
