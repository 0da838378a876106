#!/usr/bin/env python3
"""Planted truths for `noxide bench`: real commands of equal cost, and of 10 % less, told by real benches.

Of commands that sleep the cost is known. Of loops it is what the machine gives them at the time: on a shared one, two
runs of the same loop differ by more than the 10 % that were planted.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = {"sleep": ("import time; time.sleep({})", 1.0), "loop": ("s = 0\nfor i in range(int({})): s += i * i", 4e6)}
"""Each kind of work, and how much of it is done before; after it, as much or 10 % less."""


def verdict(noxide: str, directory: str, work: str, share: float, rounds: str | None) -> tuple[str, str]:
    """What a bench says of some work and a share of it, and the ratio it measured."""
    text, much = WORK[work]
    before, after = text.format(much), text.format(much * share)
    command = [
        noxide, "bench", "-q", "--format", "json", "--caches", "warm", *(["--rounds", rounds] if rounds else []),
        "--candidate", f"exec {sys.executable} -c '{after}'", "--", "sh", "-c", f"exec {sys.executable} -c '{before}'",
    ]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)
    line = json.loads(done.stdout)["lines"][1]
    ratio = line["ratio"]
    return line["verdict"], f"{ratio['ratio']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noxide", default=str(ROOT / "target/release/noxide"))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--rounds", help="[default: that of noxide bench]")
    parser.add_argument("--work", choices=list(WORK), default="sleep")
    options = parser.parse_args()
    for name, share, wanted in [("equal", 1, "no-difference-shown"), ("10 % less", 0.9, "faster")]:
        right = 0
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as directory:
                told, ratio = verdict(options.noxide, directory, options.work, share, options.rounds)
            right += told == wanted
            print(f"{name}: {told} {ratio}", flush=True)
        print(f"{name}: {right} of {options.times} are told right")


if __name__ == "__main__":
    main()
