"""Listing, and what races there."""
# race: one two list-create out/new.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("out").mkdir(exist_ok=True)
@nox.session
def one(session):
    P("out").mkdir(exist_ok=True); P("out/new.txt").write_text("x")


@nox.session
def two(session):
    print(len(os.listdir("out")))
