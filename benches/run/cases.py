"""The cases: a project each, the commands that are compared on it, and what must hold."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
import statistics
import subprocess
from collections.abc import Callable

from measure import Figures

HEAD = "import nox\nnox.options.default_venv_backend = 'none'\n"


@dataclasses.dataclass(frozen=True)
class Tools:
    """Where the programs are."""

    noxide: str
    nox: str
    cores: int
    examples: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Held:
    """One promise and how it came out."""

    promise: str
    found: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def is_held(self) -> bool:
        return self.found >= self.limit if self.at_least else self.found <= self.limit


Rounds = dict[str, list[Figures]]


@dataclasses.dataclass(frozen=True)
class Case:
    """One project and the commands compared on it; the first command is what the others are measured against."""

    name: str
    about: str
    make: Callable[[pathlib.Path, Tools], None]
    commands: Callable[[Tools], dict[str, list[str]]]
    judge: Callable[[Rounds, pathlib.Path, Tools], list[Held]]
    warm: tuple[str, ...] = ()
    """Commands run once, unmeasured, before the first round."""
    apart: bool = False
    """Whether each command works in a copy of its own: nox and noxide, taking turns in one, would undo each other's
    environments, and what is measured would be reinstalls."""
    in_memory: bool = False
    """Whether its files are kept off the disk: ext4 looks past each recently freed inode for a new one, so that the
    files that one round's end deletes slow down the next round's start."""


def place_of(case: Case, directory: pathlib.Path, command: str) -> pathlib.Path:
    """Where a command runs."""
    return directory / command.replace(" ", "") if case.apart else directory


def wall(figures: list[Figures]) -> float:
    return statistics.median(each.wall for each in figures)


def cpu(figures: list[Figures]) -> float:
    return statistics.median(each.cpu for each in figures)


def write_trivial(count: int) -> Callable[[pathlib.Path, Tools], None]:
    """A maker of projects with that many sessions that do nothing."""

    def make(directory: pathlib.Path, _: Tools) -> None:
        one = "@nox.session\ndef s{0}(session):\n    pass\n"
        (directory / "noxfile.py").write_text(HEAD + "".join(one.format(n) for n in range(count)))

    return make


def judge_trivial(rounds: Rounds, directory: pathlib.Path, __: Tools) -> list[Held]:
    one_by_one, parallel, noxide = rounds["nox"], rounds["nox -j2"], rounds["noxide -j2"]
    beyond = (cpu(noxide) - cpu(one_by_one)) / 20
    # Records hold whole milliseconds, rounded down: what is inside is told too low, what is outside too high.
    spent = [sum(each["result"]["attempts"][-1]["cpu_ms"] or 0 for each in record["sessions"])
             for record in read_records(directory, 2)]
    inside = statistics.median(spent or [0]) / 20 / 1000
    return [
        Held("wall against sequential nox", wall(noxide) / wall(one_by_one), 1.3, "×"),
        Held("times faster than nox -j2", wall(parallel) / wall(noxide), 7, "×", at_least=True),
        Held("CPU a session beyond sequential nox", beyond * 1000, 5, "ms"),
        Held("of it outside the sessions' own processes", (beyond - inside) * 1000, 5, "ms"),
        Held("CPU a session beyond sequential nox, of one import of nox", beyond / cpu(rounds["import nox"]) * 100, IMPORT_SHARE, "%"),
    ]


IMPORT_SHARE = 5 / 105 * 100
"""5 ms beside the 105 ms that importing nox takes on the machine of the promise: the same on any machine."""


def trivial_commands(tools: Tools) -> dict[str, list[str]]:
    """As `three`, and the import of nox alone, which says how fast this machine is."""
    python = str(pathlib.Path(tools.nox).with_name("python"))
    return three("-j2", ["-j", "2"])(tools) | {"import nox": [python, "-c", "import nox.__main__"]}


def write_uneven(directory: pathlib.Path, _: Tools) -> None:
    """Six sessions of a second, then one of six: the order of the file is the worst order."""
    one = "@nox.session\ndef s{0}(session):\n    session.run('sleep', '{1}', external=True)\n"
    (directory / "noxfile.py").write_text(HEAD + "".join(one.format(n, 6 if n == 6 else 1) for n in range(7)))


def judge_uneven(rounds: Rounds, _: pathlib.Path, __: Tools) -> list[Held]:
    return [Held("wall", wall(rounds["noxide -j2"]), 6.5, "s")]


def write_loud(directory: pathlib.Path, _: Tools) -> None:
    """One session that writes 100 MB, and a quiet one, so that `nox -j` does run in parallel."""
    text = (
        "import sys\nline = 'x' * 99 + '\\n'\n"
        "for _ in range(1000):\n    sys.stdout.write(line * 1000)\n"
    )
    (directory / "loud.py").write_text(text)
    (directory / "noxfile.py").write_text(
        HEAD + "@nox.session\ndef loud(session):\n    session.run('python3', 'loud.py', external=True)\n"
        "@nox.session\ndef quiet(session):\n    pass\n"
    )


def judge_loud(rounds: Rounds, _: pathlib.Path, __: Tools) -> list[Held]:
    peak = max(each.peak for each in rounds["noxide -j2"])
    return [Held("noxide's own peak memory", peak / 1e6, 40, "MB")]


def judge_many(rounds: Rounds, _: pathlib.Path, __: Tools) -> list[Held]:
    own = statistics.median(each.own_cpu for each in rounds["noxide -j2"])
    return [Held("noxide's own CPU a session", own / 500 * 1000, 1, "ms")]


def three(parallel: str, wide: list[str]) -> Callable[[Tools], dict[str, list[str]]]:
    """nox one by one, nox in parallel, noxide: on as many slots each."""

    def commands(tools: Tools) -> dict[str, list[str]]:
        return {
            "nox": [tools.nox],
            f"nox {parallel}": [tools.nox, *wide, "--allow-parallel"],
            f"noxide {parallel}": [tools.noxide, "run", *wide],
        }

    return commands


def copy_parcelbook(directory: pathlib.Path, tools: Tools) -> None:
    """The example in a Git repository of its own, its environments made by the warm-up."""
    ignored = shutil.ignore_patterns(".nox", "build", "dist", "site", "__pycache__", "uv.lock")
    shutil.copytree(tools.examples / "parcelbook", directory, dirs_exist_ok=True, ignore=ignored)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "init"]):
        subprocess.run([*git, *arguments], cwd=directory, check=True)


WORKERS = ("TEST_PROCESSES", "PABOT_PROCESSES", "PYTEST_XDIST_AUTO_NUM_WORKERS")


def parcelbook_commands(tools: Tools) -> dict[str, list[str]]:
    # One by one each session has all cores to itself, as under nox: the bound is made of its times so.
    alone = ["env", *(f"{name}={tools.cores}" for name in WORKERS)]
    return {
        "nox": [tools.nox],
        "nox -j auto": [tools.nox, "-j", "auto", "--allow-parallel"],
        "noxide": [tools.noxide, "run", "-j", str(tools.cores)],
        "noxide -j1": [*alone, tools.noxide, "run", "-j", "1"],
    }


def read_records(directory: pathlib.Path, slots: int) -> list[dict]:
    """Records of the good runs with that many slots."""
    files = sorted((directory / ".nox/.noxide" / "runs").glob("*/record.json"))
    records = [json.loads(file.read_text()) for file in files]
    return [record for record in records if record["slots"] == slots and record["exit_code"] == 0]


def bound(directory: pathlib.Path, cores: int) -> tuple[float, str]:
    """The least any order could take, in seconds, from sessions run one by one; and which figure it is."""
    walls: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    sessions: dict[str, dict] = {}
    for record in read_records(directory, 1):
        for session in record["sessions"]:
            last = session["result"]["attempts"][-1]
            name = session["name"]
            sessions[name] = session
            walls.setdefault(name, []).append((last["end"] - last["start"]) / 1000)
            cpus.setdefault(name, []).append((last["cpu_ms"] or 0) / 1000)
    if not sessions:
        return 0.0, "no good run one by one"
    middle = {name: statistics.median(each) for name, each in walls.items()}
    alone = sum(middle[name] for name, session in sessions.items() if session["exclusive"])
    shared = [name for name, session in sessions.items() if not session["exclusive"]]

    def path(name: str) -> float:
        return middle[name] + max((path(need["session"]) for need in sessions[name]["needs"]), default=0.0)

    locks = {lock for session in sessions.values() for lock in session["locks"]}
    chains = [sum(middle[name] for name in shared if lock in sessions[name]["locks"]) for lock in locks]
    # As in `noxide report`: exclusive sessions are added to both chains, because nothing runs beside them.
    figures = {
        "critical path": alone + max(map(path, shared), default=0.0),
        "longest chain under one lock": alone + max(chains, default=0.0),
        "CPU seconds ÷ cores": sum(map(statistics.median, cpus.values())) / cores,
    }
    which = max(figures, key=lambda name: figures[name])
    return figures[which], ", ".join(f"{name} {seconds:.1f} s" for name, seconds in figures.items())


def judge_parcelbook(rounds: Rounds, directory: pathlib.Path, tools: Tools) -> list[Held]:
    least, words = bound(directory / "noxide-j1", tools.cores)
    if not least:
        return [Held(f"against the bound ({words})", float("inf"), 1.10, "×")]
    # A run that fails early is quick, and no achievement.
    good = [each for each in rounds["noxide"] if each.code == 0]
    return [
        Held(f"against the bound ({words})", wall(good) / least if good else float("inf"), 1.10, "×"),
        Held("runs of noxide that failed", sum(each.code != 0 for each in rounds["noxide"]), 0, ""),
    ]


CASES = [
    Case("trivial", "20 sessions that do nothing", write_trivial(20), trivial_commands, judge_trivial),
    Case("uneven", "six sessions of 1 s and one of 6 s, two slots", write_uneven, three("-j2", ["-j", "2"]),
         judge_uneven, warm=("noxide -j2",)),
    Case("loud", "100 MB of output from one session", write_loud, three("-j2", ["-j", "2"]), judge_loud),
    Case("many", "500 sessions that do nothing, two slots", write_trivial(500),
         lambda tools: {"nox": [tools.nox], "noxide -j2": [tools.noxide, "run", "-j", "2"]}, judge_many,
         in_memory=True),
    Case("parcelbook", "the example, its environments made before", copy_parcelbook, parcelbook_commands,
         judge_parcelbook, warm=("nox", "nox -j auto", "noxide -j1", "noxide"), apart=True),
]
