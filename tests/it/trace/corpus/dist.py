"""Dist, and what races there."""
# race: one two create-delete dist/a.whl
# race: one two read-write dist/b.whl
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P("dist").mkdir(exist_ok=True); P("dist/a.whl").write_text("one"); P("dist/b.whl").write_text("one")


@nox.session
def two(session):
    print([P(p).read_bytes() for p in ("dist/b.whl",)]); os.unlink("dist/a.whl")
