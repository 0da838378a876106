"""Runs behave over feature files in worker processes, each measured by slipcover.

Each worker writes its own build/coverage/unit-N.coverage.json; whoever wants the whole
merges them (`noxide merge --coverage`).
"""

import os
import subprocess
import sys
from pathlib import Path

MEASURED = Path("build/coverage")


def main(argv: list[str]) -> int:
    processes = int(os.environ.get("TEST_PROCESSES", len(os.sched_getaffinity(0))))
    if argv[:1] == ["--processes"]:
        processes, argv = int(argv[1]), argv[2:]
    files = argv or sorted(map(str, Path("features").glob("*.feature")))
    MEASURED.mkdir(parents=True, exist_ok=True)
    for old in MEASURED.glob("unit-*.json"):
        old.unlink()
    workers = []
    for number in range(processes):
        if chunk := files[number::processes]:
            out = str(MEASURED / f"unit-{number}.coverage.json")
            measure = ["-m", "slipcover", "--source", "src", "--json", "--out", out]
            behave = ["-m", "behave", "--no-capture", "--format=progress", *chunk]
            workers.append(subprocess.Popen([sys.executable, *measure, *behave]))
    return max(worker.wait() for worker in workers)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
