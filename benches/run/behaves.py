#!/usr/bin/env python3
"""Whether what finds its own processors behaves under noxide as under nox: same statuses, same files.

    python3 benches/run/behaves.py [--noxide target/release/noxide]

`pabot`, `coverage`, `asv` and `semgrep` in the sessions of examples/parcelbook, and `pytest -n auto` in the `tests` session of
hist from PyPI, to whose installs pytest-xdist is added. nox runs the sessions one by one, noxide side by side, each in a
copy of its own. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

import bench
import cases
import equal

HIST = "hist==2.12.1"
OWN = {".git", ".nox", "__pycache__"}
"""Directories that nox, noxide and Python keep for themselves."""
DATED = re.compile(r"[0-9a-f]{8,}|\d+")
"""Parts of a file's name that are of the run and not of the project: digests, hours."""


def files(directory: pathlib.Path) -> list[str]:
    """Every file below a directory that a session left, digests and numbers in names blurred."""
    found = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(DATED.sub("#", str(path)) for path in found if not OWN.intersection(path.parts))


def agree(what: str, one: object, other: object) -> bool:
    """Says whether two are the same, and how they differ."""
    if one == other:
        size = f"{len(one)} of {len(one)}" if isinstance(one, (list, dict)) else one
        print(f"{what}: {size} the same")
        return True
    if isinstance(one, list) and isinstance(other, list):
        one, other = sorted(set(one) - set(other)), sorted(set(other) - set(one))
    print(f"{what} differ:\n  nox    {one}\n  noxide {other}")
    return False


def parcelbook(place: pathlib.Path, tools: cases.Tools) -> bool:
    """All sessions of the example."""
    nox, noxide = (equal.Project(place / name, tools) for name in ("nox", "noxide"))
    expected = nox.one_by_one("nox")
    code, found = noxide.side_by_side("noxide", "-j", str(tools.cores), "-s", *equal.SESSIONS)
    good = agree("parcelbook: exit code", int("failed" in expected.values()), code)
    good &= agree("parcelbook: statuses", expected, {name: found.get(name) for name in expected})
    return agree("parcelbook: files", files(nox.directory), files(noxide.directory)) and good


def hist(place: pathlib.Path, tools: cases.Tools) -> bool:
    """The tests of hist on as many workers as there are processors."""
    place.mkdir()
    python = str(pathlib.Path(tools.nox).with_name("python"))
    subprocess.run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", HIST], cwd=place, check=True)
    (archive,) = place.glob("*.tar.gz")
    results = []
    for name, command in ("nox", [tools.nox]), ("noxide", [tools.noxide, "run"]):
        (place / name).mkdir()
        subprocess.run(["tar", "xf", archive, "-C", place / name, "--strip-components", "1"], check=True)
        noxfile = place / name / "noxfile.py"
        text, count = re.subn(
            r'(session\.run\("pytest")', r'session.install("pytest-xdist")\n    \1', noxfile.read_text(), count=1
        )
        assert count == 1, "no pytest in hist's noxfile"
        noxfile.write_text(text)
        done = subprocess.run(
            [*command, "-s", "tests", "--", "-n", "auto"], cwd=place / name, env=bench.environment(tools), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        logs = done.stdout + "".join(log.read_text() for log in (place / name).glob(".nox/.noxide/runs/*/*/*.log"))
        counts = sorted(set(re.findall(r"\d+ passed, \d+ skipped|(?:created: )?\d+/\d+ workers?|\d+ workers \[\d+ items\]", logs)))
        results.append((done.returncode, counts, files(place / name)))
    (code, counts, left), (other_code, other_counts, other_left) = results
    print(f"hist: {', '.join(counts)}")
    good = agree("hist: exit code", code, other_code) & agree("hist: what pytest counted", counts, other_counts)
    return agree("hist: files", left, other_left) and good and bool(counts)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    bench.add_tools(options)
    tools = bench.find_tools(options.parse_args())
    with tempfile.TemporaryDirectory(prefix="noxide-behaves-") as temporary:
        good = hist(pathlib.Path(temporary) / "hist", tools)
        return 0 if parcelbook(pathlib.Path(temporary), tools) and good else 1


if __name__ == "__main__":
    sys.exit(main())
