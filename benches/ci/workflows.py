#!/usr/bin/env python3
"""The example's workflow as planted, against the one that `noxide init` writes, executed for real by act.

    python3 benches/ci/workflows.py [--noxide target/release/noxide] [--rounds 3] [--capacity 1] [--work DIR]

Each round, for either: cold, warm, one package of the lock changed, only a text of the documentation changed; each run in
host mode with an empty HOME, and the cache server's content of the run before it; one job at a time, as a Forgejo runner
does unless told otherwise. Prints medians: the seconds of each from start to end, the seconds of its jobs together (what a
forge bills) and those of each job; fails where an exit code is not 0. The new workflow is byte for byte what
`noxide init --new --install noxide==VERSION` writes; pip installs noxide, nox and uv in each run. Minutes a run; see
`benches/audit/executed.py` for what is needed.
"""

import argparse
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "audit"))
import executed  # noqa: E402

RELEASED = "certifi==2025.8.3", "certifi==2025.7.14"
"""One package that sessions install by way of others, held to one version and then to another."""


def renew(project: pathlib.Path, noxide: pathlib.Path) -> None:
    """Puts the workflow of `noxide init` in the place of the planted ones."""
    shutil.rmtree(project / ".forgejo/workflows")
    source = f"noxide=={executed.wheel_version(noxide)}"
    subprocess.run([noxide, "init", "--new", "--install", source], cwd=project, check=True, stdout=subprocess.DEVNULL)
    executed.commit(project)


def hold(project: pathlib.Path, package: str) -> None:
    """Locks the project with one package at this version."""
    file = project / "pyproject.toml"
    text = re.sub(r"\n\[tool\.uv\]\nconstraint-dependencies = \[[^\]]*\]\n", "", file.read_text())
    file.write_text(text + f'\n[tool.uv]\nconstraint-dependencies = ["{package}"]\n')
    subprocess.run(["uv", "lock", "--quiet"], cwd=project, check=True)


def one_round(options: argparse.Namespace, work: pathlib.Path, is_new: bool) -> dict[str, dict]:
    """All states of one of the two, in order."""
    project, name = work / "parcelbook", "new" if is_new else "planted"
    shutil.rmtree(project, ignore_errors=True)
    executed.repository(project, work / "home")
    hold(project, RELEASED[0])
    executed.commit(project)
    options.workflow = "noxide.yml" if is_new else "ci.yml"
    if is_new:
        renew(project, options.noxide)
    ran = {"cold": executed.run(f"{name}, cold", options, work, project, "--cold")}
    ran["warm"] = executed.run(f"{name}, warm", options, work, project, "--fresh-home")
    hold(project, RELEASED[1])
    executed.commit(project)
    ran["one package"] = executed.run(f"{name}, one package", options, work, project, "--fresh-home")
    page = project / "docs/index.md"
    page.write_text(page.read_text() + "\nOne sentence more.\n")
    executed.commit(project)
    ran["a text"] = executed.run(f"{name}, a text", options, work, project, "--fresh-home")
    return ran


def totals(taken: dict[str, dict[str, list[dict]]]) -> list[str]:
    """What a whole run takes, as Markdown."""
    def together(ran: dict) -> float:
        return sum(job["seconds"] for job in ran["jobs"].values())

    rows = ["| state | planted s | new s | new against planted | planted jobs together s | new | new against planted |",
            "|---|---|---|---|---|---|---|"]
    for state, either in taken.items():
        cells = []
        for of in (lambda ran: ran["seconds"], together):
            planted, new = (statistics.median(map(of, either[name])) for name in ("planted", "new"))
            cells += [f"{planted:.1f}", f"{new:.1f}", f"{new / planted:.2f} ×"]
        rows.append(f"| {state} | {' | '.join(cells)} |")
    return rows


def jobs(taken: dict[str, dict[str, list[dict]]]) -> list[str]:
    """What each job of the two takes, as Markdown: a dash where one of them has no such job."""
    seconds: dict[str, dict[tuple[str, str], list[float]]] = {}
    for state, either in taken.items():
        for name, runs in either.items():
            for ran in runs:
                for job, told in ran["jobs"].items():
                    seconds.setdefault(job.split("/")[-1], {}).setdefault((state, name), []).append(told["seconds"])
    columns = [(state, name) for state in taken for name in ("planted", "new")]
    rows = ["| job, s | " + " | ".join(f"{state}, {name}" for state, name in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for job, found in seconds.items():
        cells = (f"{statistics.median(found[column]):.1f}" if column in found else "–" for column in columns)
        rows.append(f"| {job} | " + " | ".join(cells) + " |")
    return rows


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--noxide", type=pathlib.Path, default=executed.ROOT / "target/release/noxide")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--work", type=pathlib.Path, help="a directory for tools, logs and caches, kept; else a temporary one")
    options.add_argument("--capacity", type=int, default=1, help="how many jobs the runner takes at once (Forgejo's default: 1)")
    options = options.parse_args()
    if not shutil.which("uv"):
        raise SystemExit("uv is not on PATH: it locks the example anew (PATH=$PWD/target/venv/bin:$PATH)")
    options.noxide = options.noxide.resolve()
    taken: dict[str, dict[str, list[dict]]] = {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="noxide-workflows-") as temporary:
        work = options.work.resolve() if options.work else pathlib.Path(temporary)
        executed.prepare(options.noxide, work)
        for turn in range(options.rounds):
            for is_new in (turn % 2 == 1, turn % 2 == 0):
                for state, ran in one_round(options, work, is_new).items():
                    taken.setdefault(state, {}).setdefault("new" if is_new else "planted", []).append(ran)
                    failed |= ran["exit"] != 0
    print("\n".join([*totals(taken), "", *jobs(taken)]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
