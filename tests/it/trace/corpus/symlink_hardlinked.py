"""A name that leads nowhere is asked for, then a hard link to a symbolic link is made there, and what it leads to races."""
# race: one two read-write a/x
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("a").mkdir(exist_ok=True)
P("a/x").touch()
if not os.path.islink("link"):
    os.symlink("a", "link")

@nox.session
def one(session):
    assert not os.path.exists("current/x")
    os.link("link", "current", follow_symlinks=False)
    assert os.path.exists("current/x")
    os.unlink("current")


@nox.session
def two(session):
    P("a/x").write_text("two")
