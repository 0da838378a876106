"""Sessions that do not race: tagged cache."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    os.makedirs("kept/x", exist_ok=True); P("kept/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55"); P("kept/x/y").write_text("1")


@nox.session
def two(session):
    os.makedirs("kept/x", exist_ok=True); P("kept/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55"); P("kept/x/y").write_text("2")
