"""Sessions that do not race: formatter."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("src.py").write_text("x = 1\n")

@nox.session
def one(session):
    print(P("src.py").read_text())


@nox.session
def two(session):
    with open("src.py", "r+") as file:
        text = file.read()
