"""Runs one command and takes its figures: wall time, CPU time, memory, exit code."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one run of one command took."""

    wall: float
    """Seconds from start to end."""
    cpu: float
    """CPU seconds of the command and of every process it waited for."""
    own_cpu: float
    """CPU seconds of the command's own process."""
    peak: int
    """Largest resident set of the command's own process, in bytes."""
    code: int
    """Exit code, or minus the signal."""


def run(command: list[str], directory: pathlib.Path, env: dict[str, str], log: pathlib.Path) -> Figures:
    """Runs a command to its end, its output going to a file."""
    with log.open("wb") as out:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        peak = 0
        # The end is awaited without reaping: a zombie still tells its own CPU time, though no longer its memory.
        while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            peak = max(peak, high_water(child.pid))
            time.sleep(0.005)
        wall = time.perf_counter() - start
        own_cpu = own_cpu_seconds(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return Figures(wall, usage.ru_utime + usage.ru_stime, own_cpu, peak, child.returncode)


def high_water(pid: int) -> int:
    """The most memory a living process has held so far, in bytes; 0 when it cannot be read."""
    try:
        for row in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if row.startswith("VmHWM:"):
                return int(row.split()[1]) * 1024
    except OSError:
        pass
    return 0


def own_cpu_seconds(pid: int) -> float:
    """User and system time of one process without its children."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
