"""The cases of coverage data: sessions that measure into one `.coverage`, or only when asked to."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from cases import HEAD, Case, Held, Rounds, Tools, place_of, wall

FUNCTIONS = 40
SESSIONS = 10
LOOP = 40_000_000

MEASURED = HEAD + """import pathlib


def measure(session, number):
    session.run("coverage", "run", "work.py", str(number), external=True)
    total = session.run("coverage", "report", "--format=total", external=True, silent=True)
    with pathlib.Path("totals-" + session.name).open("a") as file:
        file.write(total)


"""
ON_REQUEST = HEAD + """

def work(session, number):
    if session.posargs and session.posargs[0] == "coverage":
        session.run("coverage", "run", "work.py", str(number), external=True)
        session.run("coverage", "report", external=True)
    else:
        session.run("python", "work.py", str(number), external=True)


"""


def write_work(directory: pathlib.Path) -> None:
    """A program that takes a while and runs as many of its functions as its argument says."""
    functions = "".join(
        f"def function_{number}(value):\n    value += {number}\n    value *= 2\n    return value\n\n\n"
        for number in range(FUNCTIONS)
    )
    calls = ", ".join(f"function_{number}" for number in range(FUNCTIONS))
    main = f"total = sum(function(1) for function in [{calls}][: int(sys.argv[1])])\ntotal += sum(range({LOOP}))\n"
    (directory / "work.py").write_text(f"import sys\n\n\n{functions}{main}")


def write(head: str, call: str, count: int) -> Callable[[pathlib.Path, Tools], None]:
    """A maker of projects with that many sessions, each of which calls the function of the noxfile's head."""

    def make(directory: pathlib.Path, _: Tools) -> None:
        directory.mkdir(exist_ok=True)
        sessions = "".join(f"@nox.session\ndef s{number}(session):\n    {call}(session, {number})\n\n\n" for number in range(count))
        (directory / "noxfile.py").write_text(head + sessions)
        write_work(directory)

    return make


def commands(tools: Tools) -> dict[str, list[str]]:
    return {"nox": [tools.nox], "noxide -j2": [tools.noxide, "run", "-j", "2"]}


def read_totals(directory: pathlib.Path) -> dict[str, str]:
    """What each session reported, a line for each round."""
    return {path.name: path.read_text() for path in sorted(directory.glob("totals-*"))}


def judge_time(limit: float, rounds: Rounds) -> list[Held]:
    nox, noxide = rounds.values()
    return [
        Held("wall against sequential nox", wall(noxide) / wall(nox), limit, "×"),
        Held("runs that failed", sum(each.code != 0 for taken in rounds.values() for each in taken), 0, ""),
    ]


def judge_shared(rounds: Rounds, directory: pathlib.Path, _: Tools) -> list[Held]:
    expected, found = (read_totals(place_of(SHARED, directory, name)) for name in rounds)
    equal = sum(found.get(name) == text for name, text in expected.items())
    return [
        *judge_time(0.62, rounds),
        Held("sessions with the same totals in all rounds", equal, SESSIONS, "", at_least=True),
    ]


SHARED = Case("shared-coverage", "ten sessions that measure into one .coverage and report",
              write(MEASURED, "measure", SESSIONS), commands, judge_shared, apart=True)
CASES = [
    SHARED,
    Case("coverage-on-request", "twelve sessions that measure only with `-- coverage`, run without it",
         write(ON_REQUEST, "work", 12), commands, lambda rounds, *_: judge_time(0.60, rounds), apart=True),
]
