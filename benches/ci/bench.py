"""What `noxide ci` saves: one session's packages out of a remote pack, and coverage without a second test run.

    python3 benches/ci/bench.py restore  --noxide target/release/noxide [--rounds 3]
    python3 benches/ci/bench.py coverage --noxide target/release/noxide [--rounds 3]

`restore`: act's cache server holds the packages of all extras of examples/parcelbook, once as noxide's packs and once as
the official client's archive of the whole uv cache. Each round a machine with nothing gets what `lint` needs from the
packs, then the whole archive by the official client. `coverage`: unit_tests and coverage_report of the planted noxfile
against unit_tests of noxfile-merged.py, environments warm. Rounds are interleaved; medians and ratios are printed.
Needs uv and nox on PATH (target/venv/bin) and, for `restore`, node.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KIT = ROOT / "tests/acttools/run-workflow.sh"


def copy_of_parcelbook(place: pathlib.Path) -> pathlib.Path:
    """The example as a repository of its own, without what earlier runs left."""
    project = place / "parcelbook"
    left = shutil.ignore_patterns(".nox", ".noxide", "build", "dist", "site", "__pycache__", "uv.lock")
    shutil.copytree(ROOT / "examples/parcelbook", project, ignore=left)
    subprocess.run(["git", "init", "-q", "."], cwd=project, check=True)
    return project


def run(command: list, cwd: pathlib.Path, env: dict) -> float:
    """Runs a command that must succeed, and gives its seconds."""
    begun = time.monotonic()
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun


def shown(name: str, values: list) -> float:
    """Prints the median of some seconds and their range."""
    median = statistics.median(values)
    print(f"{name:44} {median:8.2f} s   ({min(values):.2f} to {max(values):.2f})")
    return median


@contextlib.contextmanager
def cache_server(work: pathlib.Path):
    """act's cache server while the block runs; gives its variables."""
    subprocess.run(["bash", KIT, work, "--setup-only"], check=True, stdout=subprocess.DEVNULL)
    file = work / "served"
    command = ["bash", KIT, work, "--quiet", "--timeout", "1800", "--serve-cache", file]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not file.exists():
        if server.poll() is not None:
            sys.exit("act's cache server does not start")
        time.sleep(0.05)
    variables = dict(line.split("=", 1) for line in file.read_text().splitlines())
    try:
        yield {**variables, "GITHUB_SERVER_URL": "https://forge.example.org", "GITHUB_REPOSITORY": "org/parcelbook"}
    finally:
        file.unlink()
        server.wait()


def restore(place: pathlib.Path, noxide: pathlib.Path, rounds: int) -> None:
    """One session's packages from the packs, against all of them by the official client."""
    project = copy_of_parcelbook(place)
    work = place / "work"
    cache = project / "uv-cache"
    with cache_server(work) as variables:
        env = {**os.environ, **variables, "UV_CACHE_DIR": str(cache), "NOXIDE_CACHE_DIR": str(place / "store-0")}
        run(["uv", "lock", "--quiet"], project, env)
        everything = {**env, "UV_PROJECT_ENVIRONMENT": ".nox/everything"}
        run(["uv", "sync", "--quiet", "--frozen", "--all-extras", "--no-install-project"], project, everything)
        run([noxide, "ci", "-s", "lint"], project, env)
        client = ["node", work / "node/client.mjs"]
        official = {**env, "GITHUB_WORKSPACE": str(project), "RUNNER_TEMP": str(place)}
        run([*client, "save", "whole-uv-cache", "uv-cache"], project, official)
        whole = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        ours, theirs, moved = [], [], 0
        for number in range(1, rounds + 1):
            shutil.rmtree(project / ".nox")
            fresh = {**env, "UV_CACHE_DIR": str(place / f"uv-{number}"), "NOXIDE_CACHE_DIR": str(place / f"store-{number}")}
            run([noxide, "ci", "-s", "lint"], project, fresh)
            told = json.loads((project / "noxide-ci/cache.json").read_text())
            if told["troubles"] or not told["brought"]["entries"]:
                sys.exit(f"not brought: {told}")
            ours.append(told["brought"]["seconds"] + told["restored"]["seconds"])
            moved, count = told["brought"]["bytes"], len(told["brought"]["entries"])
            shutil.rmtree(cache)
            theirs.append(run([*client, "restore", "whole-uv-cache", "uv-cache"], project, official))
    print(f"lint gets {count} packages, {moved / 1e6:.1f} MB; the whole uv cache has {whole / 1e6:.1f} MB unpacked")
    mine = shown("noxide: what lint needs, into uv's cache", ours)
    other = shown("official client: the whole uv cache", theirs)
    print(f"{other / mine:.1f} times faster")


def coverage(place: pathlib.Path, noxide: pathlib.Path, rounds: int) -> None:
    """Tests and the report run apart, against tests that are measured as they run."""
    project = copy_of_parcelbook(place)
    env = {**os.environ, "UV_CACHE_DIR": str(place / "uv"), "NOXIDE_CACHE_DIR": str(place / "store")}
    planted = [noxide, "run", "-s", "unit_tests", "coverage_report"]
    merged = [noxide, "ci", "-f", "noxfile-merged.py", "-s", "unit_tests", "--remote", "off", "--coverage", "--fail-under", "97"]
    for command in (planted, merged):
        run(command, project, env)
    apart, once = [], []
    for _ in range(rounds):
        apart.append(run(planted, project, env))
        once.append(run(merged, project, env))
    found = json.loads((project / "noxide-ci/coverage.json").read_text())["summary"]["percent_covered"]
    before = json.loads((project / "build/coverage.json").read_text())["summary"]["percent_covered"]
    print(f"coverage: {before:.2f} % by coverage_report, {found:.2f} % merged")
    one = shown("unit_tests and coverage_report", apart)
    two = shown("unit_tests measured, merged, judged", once)
    print(f"{two / one:.2f} of the time")


def main() -> None:
    """Reads the command line and runs one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["restore", "coverage"])
    parser.add_argument("--noxide", type=pathlib.Path, default=ROOT / "target/release/noxide")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        chosen = {"restore": restore, "coverage": coverage}[arguments.what]
        chosen(pathlib.Path(place).resolve(), arguments.noxide.resolve(), arguments.rounds)


if __name__ == "__main__":
    main()
