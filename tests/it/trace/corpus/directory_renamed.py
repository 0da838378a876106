"""Directory renamed, and what races there."""
# race: one two create-delete site/index.html
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P("site").mkdir(); P("site/index.html").write_text("x")


@nox.session
def two(session):
    os.rename("site/", "published")
    P("site").mkdir(); P("site/index.html").write_text("y")
