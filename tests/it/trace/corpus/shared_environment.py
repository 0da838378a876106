"""One environment outside `.nox`, and what races there: `site-packages` and a tag make it no private cache."""
# race: one two read-write .venv/lib/python3/site-packages/own/__init__.py
# race: one two write-write .venv/lib/python3/site-packages/group.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path
SITE = P(".venv/lib/python3/site-packages")
if not SITE.exists():
    (SITE / "own").mkdir(parents=True)
    P(".venv/pyvenv.cfg").write_text("home = /usr/bin")
    P(".venv/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    (SITE / "own/__init__.py").write_text("")
    (SITE / "group.txt").write_text("none")

@nox.session
def one(session):
    (SITE / "group.txt").write_text("one")
    (SITE / "own/__init__.py").write_text("ONE = 1")


@nox.session
def two(session):
    (SITE / "group.txt").write_text("two")
    print((SITE / "own/__init__.py").read_text())
