"""Outside, and what races there."""
# race: one two write-write {outside}/shared.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P(os.environ["CORPUS_OUTSIDE"], "shared.txt").write_text("one")


@nox.session
def two(session):
    P(os.environ["CORPUS_OUTSIDE"], "shared.txt").write_text("two")
