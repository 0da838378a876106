"""Dist rebuilt, and what races there."""
# race: one two create-delete dist/x.whl
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    shutil.rmtree("dist", ignore_errors=True)
    P("dist").mkdir(); P("dist/x.whl").write_text("one")


@nox.session
def two(session):
    shutil.rmtree("dist", ignore_errors=True)
    P("dist").mkdir(); P("dist/x.whl").write_text("two")
