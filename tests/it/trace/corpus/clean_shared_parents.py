"""Sessions that do not race: shared parents."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    os.makedirs("build/a", exist_ok=True); P("build/a/x").write_text("1")


@nox.session
def two(session):
    os.makedirs("build/b", exist_ok=True); P("build/b/x").write_text("1")
