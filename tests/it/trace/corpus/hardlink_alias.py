"""Hardlink alias, and what races there."""
# race: one two write-write a.txt = b.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

if not os.path.exists("b.txt"):
    P("a.txt").touch()
    os.link("a.txt", "b.txt")

@nox.session
def one(session):
    P("a.txt").write_text("one")


@nox.session
def two(session):
    P("b.txt").write_text("two")
