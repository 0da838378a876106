"""The cases of tracing: what it costs a session to be looked at, and that a session nobody looks at pays nothing."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable

from cases import Case, Held, Rounds, Tools, cpu

TESTS = 1200
MODULES = 400
NOXFILE = """import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True


@nox.session
def load(session):
    session.install({install!r})
    session.run({command})
"""


def write(install: str, *command: str) -> Callable[[pathlib.Path, Tools], None]:
    """A maker of projects with one session that runs one tool, on tests that use files or on modules to be checked."""

    def make(directory: pathlib.Path, _: Tools) -> None:
        words = ", ".join(map(repr, command))
        (directory / "noxfile.py").write_text(NOXFILE.format(install=install, command=words))
        tests = "".join(
            f"def test_{number}(tmp_path):\n    place = tmp_path / 'a'\n    place.write_text('{number}')\n"
            f"    assert place.exists() and sorted(range({number}), reverse=True)[:0] == []\n\n\n"
            for number in range(TESTS)
        )
        (directory / "test_files.py").write_text(tests)
        (directory / "modules").mkdir()
        for number in range(MODULES):
            text = "".join(
                f"def function_{each}(value: int, words: list[str]) -> dict[str, int]:\n"
                f"    return {{word: value + {each} for word in words if len(word) > {each}}}\n\n\n"
                for each in range(30)
            )
            (directory / "modules" / f"module_{number}.py").write_text(text)

    return make


def commands(tools: Tools) -> dict[str, list[str]]:
    run = [tools.noxide, "run", "-s", "load", "--trace"]
    return {"--trace never": [*run, "never"], "--trace always": [*run, "always"], "--trace auto, learnt": [*run, "auto"]}


def judge(limit: float) -> Callable[[Rounds, pathlib.Path, Tools], list[Held]]:
    def judge_limit(rounds: Rounds, _: pathlib.Path, __: Tools) -> list[Held]:
        never, always, learnt = rounds.values()
        return [
            Held("CPU traced against untraced", cpu(always) / cpu(never), limit, "×"),
            Held("CPU of a session that was learnt against one never looked at", round(cpu(learnt) / cpu(never), 2), 1, "×"),
            Held("runs that failed", sum(each.code != 0 for taken in rounds.values() for each in taken), 0, ""),
        ]

    return judge_limit


def case(name: str, about: str, limit: float, install: str, *command: str) -> Case:
    warm = ("--trace never", "--trace always")
    # In memory: pytest makes and removes thousands of files, and what ext4 takes for them differs by rounds.
    return Case(name, about, write(install, *command), commands, judge(limit), warm=warm, in_memory=True)


ALONE = ["env", "NODE_OPTIONS=--max-semi-space-size=64", "taskset", "-c", str(max(os.sched_getaffinity(0)))]
"""One processor, and few collections of what is young: node's collector works in threads, whenever they get a processor,
and two runs of the same differ by 12 % of their CPU time (standard deviation; so 4 %). That would hide any tracing."""

CASES = [
    case("traced-pytest", f"{TESTS} tests with directories of their own, traced and not", 1.15,
         "pytest", "pytest", "-q", "-p", "no:cacheprovider", "test_files.py"),
    case("traced-ruff", f"ruff on {MODULES} modules, traced and not", 1.05, "ruff", "ruff", "check", "--no-cache", "modules"),
    case("traced-pyright", f"pyright on {MODULES} modules, traced and not", 1.05,
         "basedpyright", *ALONE, "basedpyright", "--level", "error", "modules"),
]
