"""What `noxide ci` saves: one session's packages out of a remote pack, coverage without a second test run; and whether
three runners find what one finds.

    python3 benches/ci/bench.py restore  --noxide target/release/noxide [--rounds 3]
    python3 benches/ci/bench.py coverage --noxide target/release/noxide [--rounds 3]
    python3 benches/ci/bench.py shards   --noxide target/release/noxide [--sessions "unit_tests lint"]

`restore`: act's cache server holds the packages of a lock of some 170, once as noxide's packs and once as the official
client's archive of the whole uv cache. Each round a machine with nothing gets what `lint` needs from the packs, then the
whole archive by the official client. What lint's packages are, packed alone, is told beside it; exit code 1 where more
than 1.1 × of that is moved, or the archive takes less than 20 × as long.

`coverage`: unit_tests and coverage_report of the planted noxfile against unit_tests of noxfile-merged.py, environments
warm. `shards`: noxfile-merged.py run whole, and as three shards in three copies whose runs are merged; statuses, JUnit
cases and the coverage total must be the same, else exit code 1.

Rounds are interleaved; medians and ratios are printed.
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
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches/cache"))
import project as many  # noqa: E402

KIT = ROOT / "tests/acttools/run-workflow.sh"


def copy_of_parcelbook(place: pathlib.Path) -> pathlib.Path:
    """The example as a repository of its own, without what earlier runs left."""
    project = place / "parcelbook"
    left = shutil.ignore_patterns(".nox", "build", "dist", "site", "__pycache__", "uv.lock")
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


NOXFILE = '''import nox

nox.options.default_venv_backend = "uv"


@nox.session
def everything(session: nox.Session) -> None:
    where = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install("uv", "sync", "--quiet", "--frozen", "--all-groups", env=where, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    where = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install("uv", "sync", "--quiet", "--frozen", "--only-group", "lint", env=where, external=True)
'''


def restore(place: pathlib.Path, noxide: pathlib.Path, rounds: int) -> bool:
    """One session's packages from the packs, against all of them by the official client."""
    project, work = place / "many", place / "work"
    project.mkdir()
    many.write(project)
    (project / "noxfile.py").write_text(NOXFILE)
    subprocess.run(["git", "init", "-q", "."], cwd=project, check=True)
    cache = project / "uv-cache"

    def ci(name: str, cache: pathlib.Path, session: str, more: dict) -> dict:
        """What `noxide ci` tells of one session on a machine with these caches."""
        here = {**os.environ, **more, "UV_CACHE_DIR": str(cache), "NOXIDE_CACHE_DIR": str(place / f"store-{name}")}
        shutil.rmtree(project / ".nox", ignore_errors=True)
        run([noxide, "ci", "-s", session], project, here)
        told = json.loads((project / "noxide-ci/cache.json").read_text())
        if told["troubles"]:
            sys.exit(f"{name}: {told['troubles']}")
        return told

    with cache_server(work) as variables:
        run(["uv", "lock", "--quiet"], project, dict(os.environ))
        ci("everything", cache, "everything", variables)
        own = ci("own", place / "uv-own", "lint", {**variables, "GITHUB_REPOSITORY": "org/lint-alone"})
        client = ["node", work / "node/client.mjs"]
        official = {**os.environ, **variables, "GITHUB_WORKSPACE": str(project), "RUNNER_TEMP": str(place)}
        run([*client, "save", "whole-uv-cache", "uv-cache"], project, official)
        whole = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
        ours, theirs, moved = [], [], 0
        for number in range(1, rounds + 1):
            told = ci(f"{number}", place / f"uv-{number}", "lint", variables)
            if not told["brought"]["packages"]:
                sys.exit(f"not brought: {told}")
            ours.append(told["brought"]["seconds"] + told["restored"]["seconds"])
            moved, count = told["brought"]["bytes"], len(told["brought"]["packages"])
            shutil.rmtree(cache)
            theirs.append(run([*client, "restore", "whole-uv-cache", "uv-cache"], project, official))
    packed = own["pushed"]["bytes"]
    print(f"lint gets {count} packages, {moved / 1e6:.2f} MB moved, {packed / 1e6:.2f} MB packed alone: {moved / packed:.3f} ×")
    print(f"the whole uv cache has {whole / 1e6:.1f} MB unpacked")
    mine = shown("noxide: what lint needs, into uv's cache", ours)
    other = shown("official client: the whole uv cache", theirs)
    print(f"{other / mine:.1f} times faster")
    return moved <= 1.1 * packed and other >= 20 * mine


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


def statuses(record: pathlib.Path) -> dict:
    """Each session's outcome, from a record."""
    return {session["name"]: session["result"]["outcome"] for session in json.loads(record.read_text())["sessions"]}


def cases(report: pathlib.Path) -> list:
    """Every case of a JUnit report with what became of it."""
    found = []
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        ends = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        found.append((case.get("classname"), case.get("name"), *ends))
    return sorted(found)


def percent(document: pathlib.Path) -> float:
    """The total of a coverage document."""
    return json.loads(document.read_text())["summary"]["percent_covered"]


def shards(place: pathlib.Path, noxide: pathlib.Path, sessions: list) -> None:
    """One run, against three shards on three machines of their own, merged."""
    chosen = ["-s", *sessions] if sessions else []

    def runner(name: str, command: list) -> pathlib.Path:
        (place / name).mkdir()
        project = copy_of_parcelbook(place / name)
        env = {**os.environ, "UV_CACHE_DIR": str(place / "uv"), "NOXIDE_CACHE_DIR": str(place / name / "store")}
        seconds = run([noxide, *command, "-f", "noxfile-merged.py", *chosen], project, env)
        print(f"{name:44} {seconds:8.2f} s")
        return project

    one = runner("one run", ["ci", "--remote", "off", "--coverage", "--fail-under", "97"])
    parts = [runner(f"shard {number} of 3", ["run", "--shard", f"{number}/3"]) for number in (1, 2, 3)]
    merged, report = place / "merged", place / "merged.xml"
    command = [noxide, "merge", *parts, "--dir", merged, "--junit", report, "--coverage", "--fail-under", "97"]
    print(f"{'merge':44} {run(command, place, dict(os.environ)):8.2f} s")
    kept = one / "noxide-ci"
    pairs = {
        "statuses": (statuses(kept / "record.json"), statuses(merged / "record.json")),
        "JUnit cases": (cases(kept / "junit.xml"), cases(report)),
        "coverage": (percent(kept / "coverage.json"), percent(merged / "coverage.json")),
    }
    for part in parts:
        (record,) = (part / ".nox/.noxide/runs").glob("*/record.json")
        print(f"{part.parent.name}: {', '.join(statuses(record))}")
    differs = False
    for what, (whole, folded) in pairs.items():
        size = f"{whole:.2f} % and {folded:.2f} %" if what == "coverage" else f"{len(whole)} and {len(folded)}"
        print(f"{what}: {size}, {'the same' if whole == folded else 'NOT the same'}")
        if whole != folded:
            print(f"  one run: {whole}\n  merged:  {folded}")
            differs = True
    sys.exit(differs)


def main() -> None:
    """Reads the command line and runs one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["restore", "coverage", "shards"])
    parser.add_argument("--noxide", type=pathlib.Path, default=ROOT / "target/release/noxide")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", default="", help="for shards: which sessions [default: those of the noxfile]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        directory, noxide = pathlib.Path(place).resolve(), arguments.noxide.resolve()
        match arguments.what:
            case "restore":
                sys.exit(not restore(directory, noxide, arguments.rounds))
            case "coverage":
                coverage(directory, noxide, arguments.rounds)
            case _:
                shards(directory, noxide, arguments.sessions.split())


if __name__ == "__main__":
    main()
