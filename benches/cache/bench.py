#!/usr/bin/env python3
"""Measures `noxide cache` against copies, archives and plain reading: interleaved rounds, medians, ratios."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import project
import sessions
from sessions import blocks

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = REPOSITORY / "target"
Step = tuple[Callable[[], None], Callable[[], None]]
"""What is done before, unmeasured, and what is measured."""


class Bench:
    """A project installed once, a store filled from it, and the commands that are compared."""

    def __init__(self, directory: pathlib.Path, noxide: str, uv: str) -> None:
        self.directory, self.noxide, self.uv = directory, noxide, uv
        self.work = directory / "project"
        self.work.mkdir()
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "NOX", "VIRTUAL_ENV"))}
        self.env |= {"NOXIDE_CACHE_DIR": str(directory / "noxide"), "UV_PYTHON_DOWNLOADS": "never"}
        self.env["PATH"] = os.pathsep.join([str(pathlib.Path(uv).parent), self.env.get("PATH", "")])
        self.full = directory / "full"

    def install(self) -> None:
        """Fills uv's cache with all that the project needs."""
        project.write(self.work)
        project.install(self.work, self.uv, self.with_cache(self.full))

    def with_cache(self, cache: pathlib.Path) -> dict[str, str]:
        return self.env | {"UV_CACHE_DIR": str(cache)}

    def run(self, command: list[str], cache: pathlib.Path) -> str:
        done = subprocess.run(command, cwd=self.work, env=self.with_cache(cache), capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def cache(self, *arguments: str, cache: pathlib.Path | None = None) -> dict:
        return json.loads(self.run([self.noxide, "cache", *arguments, "--format", "json"], cache or self.full))

    def sync(self, cache: pathlib.Path) -> None:
        self.run([self.uv, "sync", "--quiet", "--frozen", "--offline", "--all-groups"], cache)

    def remove(self, *names: str) -> None:
        for name in names:
            shutil.rmtree(self.directory / name, ignore_errors=True)
        os.sync()


def rounds(steps: dict[str, Step], number: int) -> dict[str, list[float]]:
    """Every step once a round; the order turns with the rounds."""
    taken: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for turn in range(number):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            before, measured = steps[name]
            before()
            start = time.perf_counter()
            measured()
            taken[name].append(time.perf_counter() - start)
            print(f"  round {turn + 1}, {name}: {taken[name][-1]:.3f} s", file=sys.stderr)
    return taken


def table(title: str, taken: dict[str, list[float]]) -> str:
    base = statistics.median(next(iter(taken.values())))
    rows = [f"### {title}", "", "| step | median s (least – most) | against the first |", "|---|---|---|"]
    for name, walls in taken.items():
        middle = statistics.median(walls)
        rows.append(f"| {name} | {middle:.3f} ({min(walls):.3f} – {max(walls):.3f}) | {middle / base:.2f} × |")
    return "\n".join(rows) + "\n"


def size(directory: pathlib.Path) -> tuple[int, int]:
    """Files below a directory and their bytes."""
    sizes = [path.lstat().st_size for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return len(sizes), sum(sizes)


class Held:
    """What must hold, and whether it does."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.all = True

    def say(self, what: str, found: float, most: float) -> None:
        good = found <= most
        self.all &= good
        self.lines.append(f"- {'held' if good else '**NOT HELD**'}: {what}: {found:.3f} (at most {most})")


def restoring(bench: Bench, number: int, held: Held) -> str:
    """A private uv cache from the store, against a copy of the same tree by links and an archive of it."""
    archive = bench.directory / "cache.tar.zst"
    subprocess.run(["tar", "-C", bench.full, "-I", "zstd -3 -T0", "-cf", archive, "."], check=True)
    model = bench.directory / "model"
    bench.cache("restore", cache=model)
    private, venv = bench.directory / "private", "project/.venv"
    spent: list[float] = []

    def restore() -> None:
        report = bench.cache("restore", cache=private)
        spent.append(report["check_seconds"] / report["seconds"])

    def unpack() -> None:
        private.mkdir()
        subprocess.run(["tar", "-C", private, "-I", "zstd", "-xf", archive], check=True)
        bench.sync(private)

    def restore_and_sync() -> None:
        bench.cache("restore", cache=private)
        bench.sync(private)

    nothing = lambda: bench.remove("private")  # noqa: E731
    fresh = lambda: bench.remove("private", venv)  # noqa: E731
    taken = rounds(
        {
            "cp -al of the same tree": (nothing, lambda: subprocess.run(["cp", "-al", model, private], check=True)),
            "noxide cache restore": (nothing, restore),
            "noxide cache restore, uv sync --offline": (fresh, restore_and_sync),
            "tar.zst, uv sync --offline": (fresh, unpack),
        },
        number,
    )
    middle = {name: statistics.median(walls) for name, walls in taken.items()}
    copy, restored, synced, tarred = middle.values()
    held.say("2. restore against cp -al", restored / copy, 1.25)
    held.say("2. restore and sync against tar.zst and sync (a quarter)", synced / tarred, 0.25)
    held.say("6. share of verification in a restore", statistics.median(spent), 0.15)
    files, total = size(model)
    return table(f"Restore: {files} files, {total / 1e6:.0f} MB", taken)


def closure(bench: Bench, held: Held) -> str:
    """One session's part of the lock: its own files and no others, against a cache that uv filled for it alone."""
    private, own = bench.directory / "private", bench.directory / "own"
    bench.remove("private", "own", "project/.venv")
    bench.run([bench.uv, "sync", "--quiet", "--frozen", "--only-group", "lint"], own)
    report = bench.cache("restore", "--group", "lint", cache=private)
    (files, total), (own_files, own_total) = size(private), size(own)
    held.say("3. files of lint's closure against uv's own", files / own_files, 1.05)
    held.say("3. bytes of lint's closure against uv's own", total / own_total, 1.05)
    names = ", ".join(one["name"] for one in report["restored"])
    return (f"### One closure\n\nlint: {names}: {files} files, {total} bytes, of which the wheel's are {report['files']} and "
            f"{report['bytes']}; uv's cache after installing lint alone: {own_files} files, {own_total} bytes\n")


def saving(bench: Bench, number: int, held: Held) -> str:
    """What a save adds to the disk, and what it costs when nothing is new."""
    store = bench.directory / "noxide" / "store"
    alone, both = blocks(bench.full), blocks(bench.full, store)
    before = blocks(store)
    taken = rounds({"noxide cache save, nothing new": (lambda: None, lambda: bench.cache("save") and None)}, number)
    held.say("4. bytes added by a save of nothing new", float(blocks(store) - before), 0)
    held.say("4. seconds of a save of nothing new", statistics.median(*taken.values()), 0.05)
    text = table("Save", taken)
    return text + f"\nuv cache {alone / 1e6:.0f} MB on disk, with the store {both / 1e6:.0f} MB\n"


def verifying(bench: Bench, number: int, held: Held) -> str:
    """The whole store, against reading and hashing the same files with as many processes as processors."""
    entries = bench.directory / "noxide" / "store" / "entries"
    cores = len(os.sched_getaffinity(0))
    read = f"find {entries} -path '*/tree/*' -type f -print0 | xargs -0 -n 256 -P {cores} sha256sum > /dev/null"
    taken = rounds(
        {
            "sha256sum of all files": (lambda: None, lambda: subprocess.run(read, shell=True, check=True) and None),
            "noxide cache verify": (lambda: None, lambda: bench.cache("verify") and None),
        },
        number,
    )
    hashed, verified = (statistics.median(walls) for walls in taken.values())
    held.say("6. verify against reading and hashing", verified / hashed, 1.5)
    return table("Verify", taken)


def with_sessions(bench: Bench, number: int, lines: list[float | None], held: Held) -> list[str]:
    """What the cache does for whole sessions."""
    tools, env = pathlib.Path(bench.uv).parent, {name: value for name, value in bench.env.items() if name != "NOXIDE_CACHE_DIR"}
    directory = bench.directory / "sessions"
    directory.mkdir()
    example = REPOSITORY / "examples" / "parcelbook"
    book, other = (sessions.Parcelbook(directory / name, bench.noxide, tools, env, example) for name in ("ours", "theirs"))
    parts = [
        *(lambda speed=speed: sessions.fan_out(directory, bench.noxide, tools, env, number, speed) for speed in lines),
        lambda: sessions.upgraded(directory, bench.noxide, tools, env),
        lambda: sessions.stored(book),
        lambda: sessions.warm_installs(other, book, number),
    ]
    texts = []
    for part in parts:
        text, promises = part()
        print(text, promises, file=sys.stderr)
        texts.append(text)
        for what, value, most in promises:
            held.say(what, value, most)
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", choices=["wheels", "sessions"], help="only this half [default: both]")
    parser.add_argument("--line", type=float, nargs="*", default=[100], metavar="MBIT/S",
                        help="the fan-out over lines of these speeds too, beside the machine's own [default: 100]")
    parser.add_argument("--noxide", help="the program [default: built in release mode]")
    parser.add_argument("--directory", type=pathlib.Path, help="where to work; on the file system that is to be measured")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a promise is not held")
    options = parser.parse_args()
    noxide = options.noxide or str(TARGET / "release" / "noxide")
    if not options.noxide:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=REPOSITORY, check=True)
    uv = TARGET / "venv" / "bin" / "uv"
    if not uv.exists():
        subprocess.run([REPOSITORY / ".ci" / "test", "--no-run"], cwd=REPOSITORY, check=True)
    held, texts = Held(), []
    with tempfile.TemporaryDirectory(prefix="noxide-bench-", dir=options.directory) as temporary:
        bench = Bench(pathlib.Path(temporary), str(pathlib.Path(noxide).resolve()), str(uv))
        if options.part != "sessions":
            bench.install()
            saved = bench.cache("save")
            texts = [
                f"load {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} CPUs, {len(saved['saved'])} wheels, "
                f"{saved['files']} files, {saved['bytes'] / 1e6:.0f} MB, put by {saved['link_mode']}\n",
                restoring(bench, options.rounds, held),
                closure(bench, held),
                saving(bench, options.rounds, held),
                verifying(bench, options.rounds, held),
            ]
        if options.part != "wheels":
            texts += with_sessions(bench, options.rounds, [None, *options.line], held)
    texts.append("\n".join(held.lines))
    text = "\n".join(texts)
    print(text)
    (TARGET / "bench").mkdir(exist_ok=True)
    (TARGET / "bench" / "cache.md").write_text(text + "\n")
    sys.exit(int(options.check and not held.all))


if __name__ == "__main__":
    main()
