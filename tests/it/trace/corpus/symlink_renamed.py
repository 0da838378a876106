"""A link is switched by a rename, as deployments do, and what it leads to then races."""
# race: one two read-write b/x
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

for directory in "ab":
    P(directory).mkdir(exist_ok=True)
    P(directory, "x").touch()

@nox.session
def one(session):
    os.symlink("a", "current")
    P("current/x").read_text()
    os.symlink("b", "next")
    os.replace("next", "current")
    P("current/x").read_text()
    os.unlink("current")


@nox.session
def two(session):
    P("b/x").write_text("two")
