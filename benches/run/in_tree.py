#!/usr/bin/env python3
"""Whether sessions that install one source tree at the same time pass: six of them, by pip, 20 runs from a clean tree.

    python3 benches/run/in_tree.py [--runs 20] [--noxide target/release/noxide]

setuptools builds in the tree (`build/`, `*.egg-info`), and two hundred subpackages make two builds likely to meet. With
`--plain`, `nox -j6 --allow-parallel` runs them instead, where they disturb each other. Exit code 1 if a run fails.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bench
import cases
import measure

SESSIONS = 6
SUBPACKAGES = 200
NOXFILE = """import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True


@nox.session
@nox.parametrize("number", range({sessions}))
def tests(session, number):
    session.install(".")
    session.run("python", "-c", "import wide.sub{last}, wide; assert len(wide.__path__) == 1", silent=True)
"""
PROJECT = """[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "wide"
version = "1"

[tool.setuptools.packages.find]
include = ["wide*"]
"""


def write_project(directory: pathlib.Path) -> None:
    directory.mkdir()
    (directory / "noxfile.py").write_text(NOXFILE.format(sessions=SESSIONS, last=SUBPACKAGES - 1))
    (directory / "pyproject.toml").write_text(PROJECT)
    for name in ["wide", *(f"wide/sub{number}" for number in range(SUBPACKAGES))]:
        (directory / name).mkdir()
        (directory / name / "__init__.py").write_text("")


def clean(directory: pathlib.Path) -> None:
    """Removes what builds and runs left, so that each run is a first one; environments stay, without the package."""
    for path in [directory / "build", directory / "wide.egg-info", directory / ".nox" / ".noxide"]:
        shutil.rmtree(path, ignore_errors=True)
    for installed in directory.glob(".nox/*/lib/*/site-packages/wide*"):
        shutil.rmtree(installed, ignore_errors=True)


def download_wheels(directory: pathlib.Path, tools: cases.Tools) -> None:
    python = str(pathlib.Path(tools.nox).with_name("python"))
    command = [python, "-m", "pip", "download", "--quiet", "--dest", str(directory), "setuptools", "wheel"]
    subprocess.run(command, check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20, help="runs (20)")
    parser.add_argument("--plain", action="store_true", help="run nox -j6 instead of noxide")
    bench.add_tools(parser)
    options = parser.parse_args()
    tools = bench.find_tools(options)
    with tempfile.TemporaryDirectory(prefix="noxide-in-tree-") as temporary:
        directory, wheels = pathlib.Path(temporary) / "project", pathlib.Path(temporary) / "wheels"
        write_project(directory)
        download_wheels(wheels, tools)
        env = bench.environment(tools) | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
        nox = [tools.nox, "-j", str(SESSIONS), "--allow-parallel"]
        command = nox if options.plain else [tools.noxide, "run", "--cache", "off", "-j", str(SESSIONS)]
        green = 0
        for number in range(1, options.runs + 1):
            clean(directory)
            log = directory.parent / "log"
            found = measure.run(command, directory, env, log)
            green += found.code == 0
            bench.tell(f"run {number}: exit {found.code}, {found.wall:.1f} s, load {os.getloadavg()[0]:.1f}")
            if found.code:
                print(log.read_text(errors="replace")[-3000:])
    print(f"{green} of {options.runs} runs green")
    return 0 if green == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
