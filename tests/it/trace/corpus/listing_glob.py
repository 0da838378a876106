"""Listing glob, and what races there."""
# race: one two list-create data/b.csv
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("data").mkdir(exist_ok=True)
P("data/b.csv").touch()
@nox.session
def one(session):
    print(len(list(P("data").glob("*.csv"))))


@nox.session
def two(session):
    os.unlink("data/b.csv")
