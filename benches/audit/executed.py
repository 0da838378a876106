#!/usr/bin/env python3
"""The example's workflow executed for real by act, before and after `noxide audit --fix --unsafe-fixes`.

    python3 benches/audit/executed.py [--noxide target/release/noxide] [--workflow ci.yml] [--work DIR]

Four runs in host mode, each with an empty HOME: as planted; mended, with an empty cache; mended again, with the cache that
the one before left; and with another lock. It fails unless the exit codes are equal, no artefact got lost, the third run
hits and the fourth does not. Minutes long: every job installs its tools and runs its sessions. Needs npm or PyPI's Node,
git and uv on PATH. act has no containers here, so `container:` is dropped, and `apt-get` does nothing: this machine stays
as it is. act gives each job a workspace of a random name, so entries with `.nox`, whose key names it, always miss.
"""

import argparse
import base64
import csv
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
KIT = ROOT / "tests/acttools/run-workflow.sh"
EVENTS = {"ci.yml": "push", "nightly-quality.yml": "workflow_dispatch", "noxide.yml": "push"}


def git(project: pathlib.Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *words], cwd=project, check=True)


def commit(project: pathlib.Path) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", "x")


def repository(project: pathlib.Path, home: pathlib.Path) -> None:
    """The example by itself, with its lock committed and uv's cache below the HOME that a run empties."""
    left = shutil.ignore_patterns(".nox", "build", "dist", "site", "__pycache__", "uv.lock", ".ruff_cache")
    shutil.copytree(ROOT / "examples/parcelbook", project, ignore=left)

    def replace(file: str, old: str, new: str) -> None:
        text = (project / file).read_text()
        assert old in text, f"{file} has no {old}"
        (project / file).write_text(text.replace(old, new))

    replace("noxfile.py", "/tmp/uv-cache", str(home / "uv-cache"))
    replace(".gitignore", "uv.lock", "")
    for workflow in (project / ".forgejo/workflows").iterdir():
        workflow.write_text(workflow.read_text().replace(" && rm -rf /var/lib/apt/lists/*", ""))
    subprocess.run(["uv", "lock", "--quiet"], cwd=project, check=True)
    git(project, "init", "-q", "-b", "master")
    commit(project)


def wheel_version(noxide: pathlib.Path) -> str:
    """The version of the binary as an index writes it: `0.2.0.dev0` for `0.2.0-dev`."""
    version = subprocess.run([noxide, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    return re.sub(r"-dev$", ".dev0", version)


def wheel(noxide: pathlib.Path, into: pathlib.Path) -> None:
    """The binary as a wheel that needs nox and uv, for the `pip install` of a job."""
    version = wheel_version(noxide)
    info = f"noxide-{version}.dist-info"
    files = {
        f"noxide-{version}.data/scripts/noxide": noxide.read_bytes(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: noxide\nVersion: {version}\nRequires-Dist: nox>=2022.1.7\nRequires-Dist: uv\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: executed.py\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    rows = csv.writer(record)
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow([name, f"sha256={digest}", len(content)])
    rows.writerow([f"{info}/RECORD", "", ""])
    with zipfile.ZipFile(into / f"noxide-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files | {f"{info}/RECORD": record.getvalue().encode()}).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
            archive.writestr(entry, content)


def run(name: str, options: argparse.Namespace, work: pathlib.Path, project: pathlib.Path, *more: str) -> dict:
    """One run: exit code, seconds, jobs, artefacts, and what the cache steps said."""
    command = ["bash", KIT, work, "--repo", project, "--workflows", f".forgejo/workflows/{options.workflow}"]
    command += ["--event", EVENTS[options.workflow], "--drop-container", "--job-venv", "--label", "docker", "--quiet"]
    command += ["--timeout", "1500", "--concurrent-jobs", str(options.capacity), "--env", "NOX_DOWNLOAD_PYTHON=never"]
    command += ["--env", f"PIP_FIND_LINKS={work / 'wheels'}", *more]
    env = os.environ | {"PATH": os.pathsep.join([str(work / "bin"), os.environ["PATH"]])}
    env.pop("CI", None)
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL)
    ran = json.loads((work / "last.json").read_text())
    log = pathlib.Path(ran["log"]).read_text()
    shutil.copyfile(ran["log"], work / f"{name}.jsonl")
    for said in ("restore hit", "restore partial", "restore miss", "save stored", "save skipped"):
        ran[said] = len(re.findall(rf"acttools-cache {said} key=uv-", log))
    jobs = ", ".join(f"{job.split('/')[-1]} {told.get('result', '?')}" for job, told in ran["jobs"].items())
    print(f"{name}: exit {ran['exit']}, {ran['seconds']} s, {len(ran['artifacts'])} artefacts; cache: " + ", ".join(
        f"{ran[said]} {said}" for said in ("restore hit", "restore partial", "restore miss", "save stored")))
    print(f"    {jobs}", flush=True)
    return ran


def prepare(noxide: pathlib.Path, work: pathlib.Path) -> None:
    """What jobs find: an `apt-get` that does nothing, and the binary as a wheel."""
    for directory in ("bin", "wheels"):
        (work / directory).mkdir(parents=True, exist_ok=True)
    (work / "bin/apt-get").write_text("#!/bin/sh\nexit 0\n")
    (work / "bin/apt-get").chmod(0o755)
    wheel(noxide, work / "wheels")


def executed(options: argparse.Namespace, work: pathlib.Path) -> list[str]:
    """All four runs, and what does not hold."""
    project = work / "parcelbook"
    shutil.rmtree(project, ignore_errors=True)
    prepare(options.noxide, work)
    repository(project, work / "home")
    before = run("planted", options, work, project, "--cold")
    subprocess.run([options.noxide, "audit", "--fix", "--unsafe-fixes", "--fail-on", "never"], cwd=project, check=True)
    left = subprocess.run([options.noxide, "audit", "--unsafe-fixes", "--diff", "--fail-on", "never"], cwd=project, capture_output=True)
    commit(project)
    cold = run("mended, cold", options, work, project, "--cold")
    warm = run("mended, warm", options, work, project, "--fresh-home")
    lock = project / "uv.lock"
    lock.write_text(lock.read_text() + "\n# another lock\n")
    commit(project)
    other = run("mended, another lock", options, work, project, "--fresh-home")
    held = {
        "a second fix changes nothing": left.returncode == 0 and not left.stdout,
        "equal exit codes": before["exit"] == cold["exit"] == warm["exit"] == other["exit"],
        "no artefact got lost": len(cold["artifacts"]) >= len(before["artifacts"]),
        "the second run hits": warm["restore hit"] > 0 and warm["restore miss"] == 0,
        "another lock misses": other["restore hit"] == 0 and other["restore partial"] > 0,
    }
    return [name for name, holds in held.items() if not holds]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--noxide", type=pathlib.Path, default=ROOT / "target/release/noxide")
    options.add_argument("--workflow", choices=EVENTS, default="ci.yml")
    options.add_argument("--work", type=pathlib.Path, help="a directory for tools, logs and caches, kept; else a temporary one")
    options.add_argument("--capacity", type=int, default=2, help="how many jobs run at once")
    options = options.parse_args()
    options.noxide = options.noxide.resolve()
    with tempfile.TemporaryDirectory(prefix="noxide-executed-") as temporary:
        broken = executed(options, options.work.resolve() if options.work else pathlib.Path(temporary))
    for name in broken:
        print(f"does not hold: {name}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
