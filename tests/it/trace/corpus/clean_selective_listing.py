"""Sessions that do not race: selective listing."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

P("a.txt").write_text("x")

@nox.session
def one(session):
    P("report.xml").write_text("x")


@nox.session
def two(session):
    for name in os.listdir("."):
        if name.endswith(".txt"):
            print(P(name).read_text())
