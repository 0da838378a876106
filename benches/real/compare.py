#!/usr/bin/env python3
"""Runs real projects with nox and with noxide, two rounds each, and compares everything a run leaves.

    benches/real/compare.py CHECKOUTS [--only NAME ...] [--rounds 2] [--nox-rounds 1] [--json FILE]

CHECKOUTS is a directory of repositories, unpacked source archives, or `.tar.gz` files, each with a noxfile.py at its
root. Nothing is written there: every runner works in a copy of its own, committed as the only commit of a repository.
`CHECKOUTS/select.toml`, if present, gives a project the arguments of both runners: `hist = ["-s", "lint", "tests-3.11"]`.

Round N of noxide is compared with round N of nox, or with its last one if `--nox-rounds` has it run less often; nox
then runs once more where something differs. Where two rounds of nox differ, the project is flaky by itself.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
COVERAGE = re.compile(r"^(?:Combined \d+ files?|TOTAL\b.*?\d+(?:\.\d+)?%)\s*$")
# Written by every run anew: interpreters put them wherever they import from.
IGNORED = re.compile(r"__pycache__/|\.pyc$")


@dataclasses.dataclass
class Result:
    """What one run left behind."""

    code: int
    seconds: float
    statuses: dict[str, str]
    coverage: list[str]
    git_status: list[str]
    sdists: dict[str, list[str]]


def compare(expected: Result, found: Result) -> list[str]:
    """The columns in which two results differ, each with what differs."""
    differing = []
    if expected.code != found.code:
        differing.append(f"exit code {found.code} instead of {expected.code}")
    for name in sorted(expected.statuses.keys() | found.statuses.keys()):
        wanted, got = expected.statuses.get(name, "absent"), found.statuses.get(name, "absent")
        if wanted != got:
            differing.append(f"session {name}: {got} instead of {wanted}")
    for column in ("coverage", "git_status"):
        wanted, got = (collections.Counter(getattr(result, column)) for result in (expected, found))
        if wanted != got:
            differing.append(f"{column}: only nox {sorted((wanted - got))}, only noxide {sorted((got - wanted))}")
    for archive in sorted(expected.sdists.keys() | found.sdists.keys()):
        wanted, got = set(expected.sdists.get(archive, [])), set(found.sdists.get(archive, []))
        if wanted != got:
            differing.append(f"{archive}: only nox {sorted(wanted - got)[:5]}, only noxide {sorted(got - wanted)[:5]}")
    return differing


class Checkout:
    """One project, and the trees in which it is run."""

    def __init__(self, source: pathlib.Path, place: pathlib.Path, arguments: list[str], options: argparse.Namespace) -> None:
        self.name = source.name.removesuffix(".tar.gz")
        self.arguments = arguments
        self.options = options
        self.place = place
        self.original = place / "original"
        if source.is_file():
            with tarfile.open(source) as archive:
                archive.extractall(place / "unpacked", filter="data")
            source = next(path.parent for path in (place / "unpacked").glob("*/noxfile.py"))
        shutil.copytree(source, self.original, symlinks=True, ignore=shutil.ignore_patterns(".git", ".nox", ".noxide"))
        self.git(self.original, "init", "--quiet", "--initial-branch", "main", ".")
        self.git(self.original, "add", "--all", "--force")
        self.git(self.original, "commit", "--quiet", "--message", "as published")
        # Versions derived from tags need one.
        self.git(self.original, "tag", "v99.0.0")

    @staticmethod
    def git(tree: pathlib.Path, *arguments: str) -> str:
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "core.hooksPath=/dev/null"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tree, capture_output=True, text=True, check=True)
        return done.stdout

    def tree(self, runner: str) -> pathlib.Path:
        """The copy that belongs to a runner; its rounds share it, as a developer's runs do."""
        tree = self.place / runner / self.name
        if not tree.exists():
            tree.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self.original, tree, symlinks=True)
        return tree

    def run(self, runner: str, number: int) -> Result:
        """One run, from a tree without what earlier rounds built there; environments and run data stay."""
        tree = self.tree(runner)
        self.git(tree, "checkout", "--quiet", "--force", "main")
        self.git(tree, "clean", "-fdxq", "--exclude", ".nox", "--exclude", ".noxide")
        report = self.place / f"{runner}-{number}.json"
        log = self.options.logs / f"{self.name}-{runner}-{number}.log"
        if runner == "nox":
            command = [self.options.nox, "--report", report, *self.arguments]
        else:
            command = [self.options.noxide, "run", "-v", "--report", report, *self.arguments]
        started = time.perf_counter()
        with log.open("wb") as out:
            child = subprocess.Popen(
                command, cwd=tree, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )
            try:
                code = child.wait(self.options.timeout)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                code = -9
        seconds = time.perf_counter() - started
        text = log.read_text(errors="replace")
        if runner != "nox":
            text = "\n".join(path.read_text(errors="replace") for path in self.session_logs(tree, started_at=log))
        statuses = {}
        if report.exists():
            for session in json.loads(report.read_text())["sessions"]:
                # The most exact signature, which tells interpreters and parameters apart; the name does not.
                statuses[session["signatures"][0]] = session["result"]
        lines = (CONTROL.sub("", line).strip() for line in text.splitlines())
        coverage = [re.sub(r"\s+", " ", line) for line in lines if COVERAGE.match(line)]
        changed = self.git(tree, "status", "--porcelain", "--untracked-files=all").splitlines()
        return Result(
            code, seconds, statuses, coverage,
            [row for row in changed if not IGNORED.search(row) and not row[3:].startswith((".nox/", ".noxide/"))],
            {path.name: list_archive(path) for path in sorted(tree.glob("dist/*.tar.gz"))},
        )

    @staticmethod
    def session_logs(tree: pathlib.Path, started_at: pathlib.Path) -> list[pathlib.Path]:
        """Logs of the sessions of the newest run."""
        runs = [run for parent in (".noxide/runs", ".nox/.noxide/runs") for run in tree.glob(f"{parent}/*") if run.is_dir()]
        newest = max(runs, key=lambda run: run.stat().st_mtime, default=None)
        if newest is None:
            return [started_at]
        # `tests.2.log` is the second attempt of `tests`; what counts is the last one, as under nox.
        last: dict[str, pathlib.Path] = {}
        for path in sorted((newest / "logs").glob("*"), key=lambda path: path.stat().st_mtime):
            last[re.sub(r"(\.[0-9]+)?\.log$", "", path.name)] = path
        return sorted(last.values())

    def environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("NOX", "COVERAGE", "PYTEST"))}
        paths = [str(pathlib.Path(self.options.nox).parent), *self.options.interpreters, env["PATH"]]
        return env | {
            "PATH": os.pathsep.join(paths), "NOX_DOWNLOAD_PYTHON": "never", "UV_PYTHON_DOWNLOADS": "never",
            "NOXIDE_CACHE_DIR": str(self.options.logs.parent / "noxide-cache"), "GIT_TERMINAL_PROMPT": "0",
        }


def list_archive(path: pathlib.Path) -> list[str]:
    with tarfile.open(path) as archive:
        return sorted(member.name for member in archive.getmembers())


def bench_project(source: pathlib.Path, arguments: list[str], options: argparse.Namespace) -> dict[str, object]:
    """Runs both runners in turns and compares round by round."""
    with tempfile.TemporaryDirectory(prefix="noxide-real-") as place:
        checkout = Checkout(source, pathlib.Path(place), arguments, options)
        rounds: dict[str, list[Result]] = {"nox": [], "noxide": []}
        wanted = {"nox": options.nox_rounds or options.rounds, "noxide": options.rounds}

        def run_once(runner: str) -> None:
            results = rounds[runner]
            results.append(checkout.run(runner, len(results) + 1))
            print(f"{checkout.name}: {runner} {len(results)}: {results[-1].seconds:.1f} s", file=sys.stderr, flush=True)

        def pair_rounds() -> list[tuple[Result, Result]]:
            compared = rounds["nox"][: options.rounds]
            compared += compared[-1:] * (options.rounds - len(compared))
            return list(zip(compared, rounds["noxide"], strict=True))

        for number in range(1, options.rounds + 1):
            for runner, count in wanted.items():
                if number <= count:
                    run_once(runner)
        pairs = pair_rounds()
        if wanted["nox"] == 1 and any(compare(nox, noxide) for nox, noxide in pairs):
            run_once("nox")
    ran = sum(status in ("success", "failed") for status in rounds["nox"][-1].statuses.values())
    return {
        "project": checkout.name,
        "sessions": len(rounds["nox"][0].statuses),
        "ran": ran,
        "passed": sum(status == "success" for status in rounds["nox"][0].statuses.values()),
        "differences": [compare(nox, noxide) for nox, noxide in pairs],
        "load": round(os.getloadavg()[0], 1),
        "flaky": compare(rounds["nox"][0], rounds["nox"][-1]),
        "statuses": rounds["nox"][0].statuses,
        "seconds": [[round(nox.seconds, 1), round(noxide.seconds, 1)] for nox, noxide in pairs],
        "ratios": [round(noxide.seconds / nox.seconds, 2) for nox, noxide in pairs],
    }


def print_table(rows: list[dict]) -> None:
    print("| project | sessions | ran | passed | wall ratio, first | second | equal |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        if any(row["differences"]):
            verdict = "nox differs from itself" if row["flaky"] else "**no**"
        else:
            verdict = "yes"
        ratios = " | ".join(f"{ratio:.2f}" for ratio in (row["ratios"][0], row["ratios"][-1]))
        print(f"| {row['project']} | {row['sessions']} | {row['ran']} | {row['passed']} | {ratios} | {verdict} |")
    large = [row["ratios"][-1] for row in rows if row["ran"] >= 4]
    if large:
        print(f"\nmedian wall ratio of {len(large)} projects with at least four sessions: {statistics.median(large):.2f}")
    for row in rows:
        for number, differing in enumerate(row["differences"], 1):
            for text in differing:
                print(f"{row['project']}, round {number}: {text}")
        for text in row["flaky"] if any(row["differences"]) else []:
            print(f"{row['project']}, nox against nox: {text}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=pathlib.Path, help="directory of projects")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these projects only")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each runner (2)")
    parser.add_argument("--nox-rounds", type=int, help="runs of nox (as many as --rounds)")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one run (900)")
    parser.add_argument("--noxide", default=str(ROOT / "target/release/noxide"), help="program to test")
    parser.add_argument("--nox", default=str(ROOT / "target/venv/bin/nox"), help="program to compare with")
    parser.add_argument("--interpreters", nargs="*", default=[], metavar="DIR", help="directories of further interpreters")
    parser.add_argument("--logs", type=pathlib.Path, default=ROOT / "target/bench/real/logs", help="where logs go")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures there as they come")
    options = parser.parse_args()
    options.logs.mkdir(parents=True, exist_ok=True)
    selection = options.checkouts / "select.toml"
    arguments = tomllib.loads(selection.read_text()) if selection.exists() else {}
    sources = [
        path for path in sorted(options.checkouts.iterdir())
        if (path / "noxfile.py").is_file() or path.name.endswith(".tar.gz")
    ]
    names = {path.name.removesuffix(".tar.gz"): path for path in sources}
    for name in options.only or []:
        if name not in names:
            parser.error(f"no project {name} in {options.checkouts}")
    rows = []
    for name, path in names.items():
        if options.only and name not in options.only:
            continue
        rows.append(bench_project(path, arguments.get(name, []), options))
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1))
    print_table(rows)
    return int(any(any(row["differences"]) and not row["flaky"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
