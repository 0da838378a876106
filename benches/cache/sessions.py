"""What the cache does for sessions: a fan-out on nothing, all environments kept, installs when all is warm."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import time

import project
from line import line

FOUR = '''"""Four sessions that install the same: what uv.lock names."""

import nox

nox.options.default_venv_backend = "uv"


def use(session: nox.Session) -> None:
    where = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install("uv", "sync", "--quiet", "--frozen", "--all-groups", env=where, external=True)


@nox.session
def one(session: nox.Session) -> None:
    use(session)


@nox.session
def two(session: nox.Session) -> None:
    use(session)


@nox.session
def three(session: nox.Session) -> None:
    use(session)


@nox.session
def four(session: nox.Session) -> None:
    use(session)
'''


def received() -> int:
    """Bytes that came to this machine so far, by any network but its own loop."""
    lines = pathlib.Path("/proc/net/dev").read_text().splitlines()[2:]
    return sum(int(line.split(":")[1].split()[0]) for line in lines if line.split(":")[0].strip() != "lo")


def start(command: list[str], directory: pathlib.Path, env: dict[str, str], log: pathlib.Path) -> None:
    """Runs a command to its good end; its output goes to `log`."""
    with log.open("w") as output:
        done = subprocess.run(command, cwd=directory, env=env, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"{command}: exit {done.returncode}\n{log.read_text()[-3000:]}")


def three_more(environment: pathlib.Path, place: pathlib.Path) -> float:
    """Seconds of three environments more, made of links and of nothing else, all at once."""
    began = time.perf_counter()
    copies = [subprocess.Popen(["cp", "-al", environment, place / f"linked-{number}"]) for number in range(3)]
    assert not any(copy.wait() for copy in copies)
    return time.perf_counter() - began


def fan_out(directory: pathlib.Path, noxide: str, tools: pathlib.Path, env: dict[str, str], number: int,
            megabits: float | None) -> tuple[str, list]:
    """Four sessions of the same needs on an empty cache, against one `uv sync` on an empty cache, over one line."""
    model = directory / "four"
    if not model.exists():
        model.mkdir()
        project.write(model)
        (model / "noxfile.py").write_text(FOUR)
        subprocess.run([tools / "uv", "lock", "--quiet"], cwd=model, env=env, check=True)
    figures: dict[str, list[tuple[float, int]]] = {"uv sync": [], "noxide run -j4": []}
    linked: list[float] = []
    speed = f"{megabits:g} Mbit/s" if megabits else "no limit"
    for turn in range(number):
        names = list(figures)
        for name in names[turn % 2 :] + names[: turn % 2]:
            # A place of its own each time, and nothing removed: ext4 looks past inodes that were freed lately, one by
            # one, so that what one round removes slows down the next ones.
            place = directory / f"fan-out-{megabits or 0:g}-{turn}-{name.split()[0]}"
            shutil.copytree(model, place / "four")
            work = place / "four"
            os.sync()
            here = env | {"UV_CACHE_DIR": str(place / "empty-uv"), "NOXIDE_CACHE_DIR": str(place / "empty-noxide"),
                          "NOXIDE_NOX": str(tools / "nox"), "NOX_DOWNLOAD_PYTHON": "never"}
            # What noxide learns of a uv once is not the sessions' to pay.
            start([noxide, "cache", "status"], work, here, directory / "status.log")
            command = [str(tools / "uv"), "sync", "--quiet", "--frozen", "--all-groups"]
            command = command if name == "uv sync" else [noxide, "run", "-j4"]
            with line(megabits) as proxy:
                bytes_before, began = received(), time.perf_counter()
                start(command, work, here | proxy, directory / "four.log")
                figures[name].append((time.perf_counter() - began, received() - bytes_before))
            print(f"  {speed}, round {turn + 1}, {name}: {figures[name][-1]}", flush=True)
            if name == "uv sync":
                linked.append(figures[name][-1][0] + three_more(work / ".venv", place))
    walls = {name: statistics.median(wall for wall, _ in each) for name, each in figures.items()}
    fetched = {name: statistics.median(count for _, count in each) for name, each in figures.items()}
    rows = [f"### Four sessions on an empty cache, line: {speed}", "", "| command | median s | median MB received |", "|---|---|---|"]
    rows += [f"| {name} | {walls[name]:.2f} | {fetched[name] / 1e6:.1f} |" for name in figures]
    one, many = figures
    # No tool that gives each session files of its own can do without these links; how much of it fits beside the sync
    # is up to the processors that the sync leaves idle.
    rows.append(f"| uv sync, then three `cp -al` of its environment at once | {statistics.median(linked):.2f} | – |")
    held = [(f"5. bytes fetched by four sessions against one uv sync ({speed})", fetched[many] / fetched[one], 1.05),
            (f"5. time of four sessions against one uv sync ({speed})", walls[many] / walls[one], 1.3)]
    return "\n".join(rows) + "\n", held


class Parcelbook:
    """A copy of the example with caches of its own, all its environments made by nox."""

    def __init__(self, work: pathlib.Path, noxide: str, tools: pathlib.Path, env: dict[str, str], example: pathlib.Path):
        self.directory, self.noxide, self.tools = work.parent, noxide, tools
        self.work, directory = work, work.parent
        ignored = shutil.ignore_patterns(".nox", "build", "dist", "site", "__pycache__", "uv.lock")
        shutil.copytree(example, self.work, ignore=ignored)
        self.env = env | {"UV_CACHE_DIR": str(directory / "parcelbook-uv"), "NOXIDE_NOX": str(tools / "nox"),
                          "NOXIDE_CACHE_DIR": str(directory / "parcelbook-noxide"), "NOX_DOWNLOAD_PYTHON": "never"}
        version = subprocess.run([tools / "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                                 capture_output=True, text=True, check=True).stdout.strip()
        self.env["FIXTURE_PYTHON"] = version
        for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "-qm", "b"]):
            subprocess.run(["git", *command], cwd=self.work, check=True)

    def do(self, *command: str) -> float:
        """Seconds of a command."""
        began = time.perf_counter()
        start(list(command), self.work, self.env, self.directory / "parcelbook.log")
        return time.perf_counter() - began

    def installs(self) -> float:
        """Seconds that the newest run's sessions spent on installs, together."""
        newest = max((self.work / ".nox/.noxide" / "runs").glob("*/record.json"), key=lambda path: path.stat().st_mtime)
        sessions = json.loads(newest.read_text())["sessions"]
        return sum((session["result"].get("install") or {"wall_ms": 0})["wall_ms"] for session in sessions) / 1000


def archive(source: pathlib.Path, target: pathlib.Path) -> int:
    """Bytes of a zstd archive of a directory, of the level that actions/cache takes."""
    subprocess.run(["tar", "-C", source, "-I", "zstd -3 -T0", "-cf", target, "."], check=True)
    return target.stat().st_size


def warm_installs(other: Parcelbook, book: Parcelbook, number: int) -> tuple[str, list]:
    """What installs cost `nox -r` and noxide when every environment is there and nothing changed, each in its own copy."""
    nox = str(book.tools / "nox")
    other.do(nox)
    book.do(book.noxide, "run", "-r")
    figures: dict[str, list[float]] = {"nox -r --install-only": [], "noxide run -r --install-only": []}
    alone = []
    for turn in range(number):
        alone.append(other.do(nox, "--list"))
        figures["nox -r --install-only"].append(other.do(nox, "-r", "--install-only") - alone[-1])
        book.do(book.noxide, "run", "-r", "--install-only")
        figures["noxide run -r --install-only"].append(book.installs())
        print(f"  round {turn + 1}: {[round(each[-1], 3) for each in figures.values()]}", flush=True)
    theirs, ours = (statistics.median(each) for each in figures.values())
    text = (f"### Installs with everything warm\n\nparcelbook, eleven sessions: `nox -r --install-only` {theirs:.2f} s beside "
            f"its own start; all installs of `noxide run -r` together {ours:.2f} s\n")
    return text, [("7. installs of a warm run against those of nox -r", ours / theirs, 0.1)]


def blocks(*directories: pathlib.Path) -> int:
    """Bytes on disk of directories together, hard links counted once."""
    done = subprocess.run(["du", "-s", "-B1", "-c", *map(str, directories)], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1].split()[0])


def stored(book: Parcelbook) -> tuple[str, list]:
    """uv's cache and eleven environments kept: here, and as packs elsewhere, against an archive of each."""
    uv, store, packs = book.directory / "parcelbook-uv", book.directory / "parcelbook-noxide" / "store", book.directory / "packs"
    book.do(str(book.tools / "uv"), "lock", "--quiet")
    book.env |= {"CI": "true", "GITHUB_REF": "refs/heads/main"}
    book.do(book.noxide, "ci", "--locked", "--remote", str(packs))  # what the sessions read of each other stays
    del book.env["CI"], book.env["GITHUB_REF"]
    environments = book.work / ".nox"
    shutil.rmtree(environments / ".noxide")  # the data of runs is neither an environment nor in the store
    archives = archive(uv, book.directory / "uv.tar.zst") + archive(environments, book.directory / "nox.tar.zst")
    added = blocks(uv, environments, store) - blocks(uv, environments)
    sent = sum(path.stat().st_size for path in packs.rglob("*") if path.is_file())
    kept = len(list(environments.iterdir()))
    text = (f"### Stored\n\nparcelbook: uv's cache {blocks(uv) / 1e6:.0f} MB, {kept} environments beside it "
            f"{(blocks(uv, environments) - blocks(uv)) / 1e6:.0f} MB, an archive of each {archives / 1e6:.1f} MB together; "
            f"noxide's store alone {blocks(store) / 1e6:.0f} MB, of which {added / 1e6:.1f} MB are on the disk because of "
            f"it; as packs {sent / 1e6:.1f} MB\n")
    return text, [("4. the store's bytes more on disk against two archives", added / archives, 0.55),
                  ("4. packs' bytes, environments among them, against two archives", sent / archives, 0.55)]


def upgraded(directory: pathlib.Path, noxide: str, tools: pathlib.Path, env: dict[str, str]) -> tuple[str, list]:
    """What one upgraded package adds to the packs, against an archive of that package."""
    work, packs, uv = directory / "four", directory / "upgrade-packs", directory / "empty-uv"
    here = env | {"UV_CACHE_DIR": str(uv), "NOXIDE_CACHE_DIR": str(directory / "empty-noxide"),
                  "NOXIDE_NOX": str(tools / "nox"), "NOX_DOWNLOAD_PYTHON": "never"}
    command = [noxide, "ci", "-s", "one", "--remote", str(packs)]
    weigh = lambda: sum(path.stat().st_size for path in packs.rglob("*") if path.is_file())  # noqa: E731
    sizes = []
    for version in ("ruff==0.12.1", "ruff==0.12.2"):
        text = (work / "pyproject.toml").read_text()
        old = next(word for word in text.split("'") if word.startswith("ruff"))
        (work / "pyproject.toml").write_text(text.replace(f"'{old}'", f"'{version}'"))
        known = set((uv / "archive-v0").iterdir()) if (uv / "archive-v0").exists() else set()
        subprocess.run([tools / "uv", "lock", "--quiet"], cwd=work, env=here, check=True)
        start(command, work, here, directory / "four.log")
        sizes.append(weigh())
    new = [path for path in set((uv / "archive-v0").iterdir()) - known if any(path.glob("ruff-*.dist-info"))]
    own = sum(archive(path, directory / "wheel.tar.zst") for path in new)
    added = sizes[1] - sizes[0]
    text = f"### One package upgraded\n\nruff, {own} bytes as an archive of its own: {added} bytes more ({sizes[0]} before)\n"
    return text, [("4. bytes added by one upgraded package against its own", added / own, 1.1)]
