#!/usr/bin/env python3
"""The example's workflow as planted, as fixed and as created anew by noxide, executed for real by act.

    python3 benches/ci/workflows.py [--noxide target/release/noxide] [--rounds 3] [--capacity 1] [--work DIR]

Three workflows, each as the product writes it and with nothing replaced: the planted one; what `noxide audit --fix
--unsafe-fixes` makes of it; and what `noxide init --new` creates. Where these commands have `--install`, they are given the
version of the binary, which jobs find as a local wheel; without it, neither writes a call of noxide.
Each round, for each of them: cold, warm, one package of the lock changed, only a text of the documentation changed; each run
in host mode with an empty HOME, and the cache server's content of the run before it; one job at a time, as a Forgejo runner
does unless told otherwise. Prints medians: the seconds of each from start to end, the seconds of its jobs together (what a
forge bills) and those of each job; fails where an exit code is not 0. Minutes a run; see `benches/audit/executed.py` for
what is needed.
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

WORKFLOW = ".forgejo/workflows/ci.yml"
RELEASED = "certifi==2025.8.3", "certifi==2025.7.14"
"""One package that sessions install by way of others, held to one version and then to another."""


VARIANTS = "planted", "fixed", "created"


def installs(noxide: pathlib.Path, command: str) -> list[str]:
    """The flag that lets a command write an install of this very version, where the command has it."""
    told = subprocess.run([noxide, command, "--help"], capture_output=True, text=True, check=True).stdout
    version = subprocess.run([noxide, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return ["--install", f"noxide=={version}"] if re.search(r"^ +--install\b", told, re.M) else []


def fix(project: pathlib.Path, noxide: pathlib.Path) -> None:
    """Has noxide fix the planted workflow."""
    words = ["audit", "--fix", "--unsafe-fixes", "--fail-on", "never", *installs(noxide, "audit")]
    subprocess.run([noxide, *words], cwd=project, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    executed.commit(project)


def create(project: pathlib.Path, noxide: pathlib.Path) -> None:
    """Has noxide write a workflow of its own in place of the planted one."""
    (project / WORKFLOW).unlink()
    words = ["init", "--new", "--dialect", "forgejo", "--branch", "master", *installs(noxide, "init")]
    subprocess.run([noxide, *words], cwd=project, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    created = project / ".forgejo/workflows/noxide.yml"
    text = created.read_text()
    created.unlink()
    (project / WORKFLOW).write_text(text.replace(" && rm -rf /var/lib/apt/lists/*", ""))
    executed.commit(project)


def hold(project: pathlib.Path, package: str) -> None:
    """Locks the project with one package at this version."""
    file = project / "pyproject.toml"
    text = re.sub(r"\n\[tool\.uv\]\nconstraint-dependencies = \[[^\]]*\]\n", "", file.read_text())
    file.write_text(text + f'\n[tool.uv]\nconstraint-dependencies = ["{package}"]\n')
    subprocess.run(["uv", "lock", "--quiet"], cwd=project, check=True)


def one_round(options: argparse.Namespace, work: pathlib.Path, name: str) -> dict[str, dict]:
    """All states of one variant, in order."""
    project = work / "parcelbook"
    shutil.rmtree(project, ignore_errors=True)
    executed.repository(project, work / "home")
    hold(project, RELEASED[0])
    executed.commit(project)
    {"planted": lambda *_: None, "fixed": fix, "created": create}[name](project, options.noxide)
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

    others = VARIANTS[1:]
    heads = [f"{name}{what}" for what in (" s", " jobs together s") for name in VARIANTS] + [
        f"{name} against planted{what}" for what in ("", ", jobs together") for name in others]
    rows = [f"| state | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for state, runs in taken.items():
        medians = [{name: statistics.median(map(measure, runs[name])) for name in VARIANTS}
                   for measure in (lambda ran: ran["seconds"], together)]
        cells = [f"{median[name]:.1f}" for median in medians for name in VARIANTS]
        cells += [f"{median[name] / median['planted']:.2f} ×" for median in medians for name in others]
        rows.append(f"| {state} | {' | '.join(cells)} |")
    return rows


def jobs(taken: dict[str, dict[str, list[dict]]]) -> list[str]:
    """What each job takes, as Markdown: a dash where a variant has no such job."""
    seconds: dict[str, dict[tuple[str, str], list[float]]] = {}
    for state, either in taken.items():
        for name, runs in either.items():
            for ran in runs:
                for job, told in ran["jobs"].items():
                    seconds.setdefault(job.split("/")[-1], {}).setdefault((state, name), []).append(told["seconds"])
    columns = [(state, name) for state in taken for name in VARIANTS]
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
    options.noxide, options.workflow = options.noxide.resolve(), "ci.yml"
    taken: dict[str, dict[str, list[dict]]] = {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="noxide-workflows-") as temporary:
        work = options.work.resolve() if options.work else pathlib.Path(temporary)
        executed.prepare(options.noxide, work)
        for turn in range(options.rounds):
            for name in (VARIANTS, VARIANTS[::-1])[turn % 2]:
                for state, ran in one_round(options, work, name).items():
                    taken.setdefault(state, {}).setdefault(name, []).append(ran)
                    failed |= ran["exit"] != 0
    print("\n".join([*totals(taken), "", *jobs(taken)]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
