#!/usr/bin/env python3
"""Compares whole runs of noxide with nox: interleaved rounds, medians, ratios, and what must hold."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

import cases
import coverage_cases
import measure
import traced

CASES = [*cases.CASES, *coverage_cases.CASES, *traced.CASES]
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = REPOSITORY / "target"


def add_tools(parser: argparse.ArgumentParser) -> None:
    """The flags that name other programs than those of this checkout."""
    parser.add_argument("--noxide", type=pathlib.Path, help="another noxide than a fresh release build")
    parser.add_argument("--nox", type=pathlib.Path, help="another nox than the one in target/venv")


def find_tools(options: argparse.Namespace) -> cases.Tools:
    """The programs that are compared, made if they are not there."""
    noxide = options.noxide or TARGET / "release" / "noxide"
    if not options.noxide:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=REPOSITORY, check=True)
    nox = options.nox or TARGET / "venv" / "bin" / "nox"
    if not nox.exists():
        subprocess.run([REPOSITORY / ".ci" / "test", "--no-run"], cwd=REPOSITORY, check=True)
    cores = len(os.sched_getaffinity(0))
    return cases.Tools(str(noxide.resolve()), str(nox.absolute()), cores, REPOSITORY / "examples")


def environment(tools: cases.Tools) -> dict[str, str]:
    """What every command gets: the same nox and uv, nothing of this shell's own settings for them."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NOX", "VIRTUAL_ENV"))}
    env["PATH"] = os.pathsep.join([str(pathlib.Path(tools.nox).parent), env.get("PATH", "")])
    env |= {"NOXIDE_NOX": tools.nox, "NOX_DOWNLOAD_PYTHON": "never", "UV_PYTHON_DOWNLOADS": "never"}
    env.pop("CI", None)
    return env


def run_case(case: cases.Case, tools: cases.Tools, rounds: int) -> tuple[cases.Rounds, list[cases.Held]]:
    """All rounds of one case, its commands taking turns."""
    logs = TARGET / "bench" / case.name
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    env = environment(tools)
    figures: cases.Rounds = {}
    memory = pathlib.Path("/dev/shm")
    place = memory if case.in_memory and memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="noxide-bench-", dir=place) as temporary:
        env |= {"TMPDIR": str(place)} if place else {}
        directory = pathlib.Path(temporary)
        commands = case.commands(tools)
        places = {name: cases.place_of(case, directory, name) for name in commands}
        for place in dict.fromkeys(places.values()):
            case.make(place, tools)
        for name in case.warm:
            tell(f"{case.name}: {name}, unmeasured")
            measure.run(commands[name], places[name], env, logs / f"warm {name}.log")
        for number in range(rounds):
            # The order turns with the rounds, so that no command always follows the same one.
            names = list(commands)
            turned = names[number % len(names):] + names[: number % len(names)]
            for name in turned:
                log = logs / f"{number + 1} {name}.log"
                taken = measure.run(commands[name], places[name], env, log)
                tell(f"{case.name}: round {number + 1}, {name}: {taken.wall:.2f} s, exit {taken.code}")
                figures.setdefault(name, []).append(taken)
                if log.stat().st_size > 10_000_000:
                    log.unlink()
        held = case.judge(figures, directory, tools)
    return {name: figures[name] for name in commands}, held


def table(case: cases.Case, figures: cases.Rounds, held: list[cases.Held]) -> str:
    """One case as Markdown."""
    base = statistics.median(each.wall for each in next(iter(figures.values())))
    rows = [
        f"### {case.name}: {case.about}",
        "",
        "| command | wall s, median (least – most) | against the first | CPU s | own CPU s | own peak MB | failed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, taken in figures.items():
        walls = [each.wall for each in taken]
        middle = statistics.median(walls)
        failed = sum(each.code != 0 for each in taken)
        rows.append(
            f"| `{name}` | {middle:.2f} ({min(walls):.2f} – {max(walls):.2f}) | {middle / base:.2f} × "
            f"| {cases.cpu(taken):.2f} | {statistics.median(each.own_cpu for each in taken):.2f} "
            f"| {max(each.peak for each in taken) / 1e6:.1f} | {failed} of {len(taken)} |"
        )
    rows.append("")
    for each in held:
        sign, word = ("≥" if each.at_least else "≤"), ("held" if each.is_held else "NOT HELD")
        rows.append(f"- {each.promise}: {each.found:.2f} {each.unit} ({sign} {each.limit:g} {each.unit}): {word}")
    return "\n".join(rows) + "\n"


def machine(tools: cases.Tools) -> str:
    """One line on what it was measured with."""
    def version(command: str) -> str:
        done = subprocess.run([command, "--version"], capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().splitlines()[-1]

    load = os.getloadavg()[0]
    return (
        f"noxide {version(tools.noxide).removeprefix('noxide ')}, nox {version(tools.nox)}, Python "
        f"{platform.python_version()}, {platform.system()} {platform.release()}, {tools.cores} cores, load {load:.1f} at the start"
    )


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", help=f"which of {', '.join(names)} (all)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds a case (5)")
    add_tools(parser)
    parser.add_argument("--check", action="store_true", help="exit code 1 when something is not held")
    options = parser.parse_args()
    if unknown := set(options.case) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    tools = find_tools(options)
    report = [f"Measured with {machine(tools)}; {options.rounds} rounds, commands taking turns.\n"]
    all_held = True
    (TARGET / "bench").mkdir(parents=True, exist_ok=True)
    for case in CASES:
        if options.case and case.name not in options.case:
            continue
        figures, held = run_case(case, tools, options.rounds)
        report.append(table(case, figures, held))
        all_held &= all(each.is_held for each in held)
        rows = {name: [dataclasses.asdict(each) for each in taken] for name, taken in figures.items()}
        (TARGET / "bench" / f"{case.name}.json").write_text(json.dumps(rows, indent=1))
    text = "\n".join(report)
    (TARGET / "bench" / "report.md").write_text(text)
    print(text)
    return 0 if all_held or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
