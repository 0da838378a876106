#!/usr/bin/env python3
"""Planted truths for `noxide bench`: real commands of equal cost, and of 10 % less, told by real benches."""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = "s = 0\nfor i in range({}): s += i * i"


def verdict(noxide: str, folder: str, before: int, after: int, rounds: int) -> tuple[str, str]:
    """What a bench says of two loops of so many turns, and the ratio it measured."""
    command = [
        noxide, "bench", "-q", "--no-write", "--format", "json", "--caches", "warm", "--rounds", str(rounds),
        "--after", f"exec {sys.executable} -c '{WORK.format(after)}'",
        "--", "sh", "-c", f"exec {sys.executable} -c '{WORK.format(before)}'",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    line = json.loads(done.stdout)["lines"][1]
    ratio = line["ratio"]
    return line["verdict"], f"{ratio['ratio']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noxide", default=str(ROOT / "target/release/noxide"))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--turns", type=int, default=4_000_000)
    options = parser.parse_args()
    for name, after, wanted in [("equal", options.turns, "no-difference-shown"), ("10 % less", options.turns * 9 // 10, "faster")]:
        right = 0
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as folder:
                told, ratio = verdict(options.noxide, folder, options.turns, after, options.rounds)
            right += told == wanted
            print(f"{name}: {told} {ratio}", flush=True)
        print(f"{name}: {right} of {options.times} are told right")


if __name__ == "__main__":
    main()
