"""Scratch name, and what races there."""
# race: one two create-delete work.tmp
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P("work.tmp").write_text("one"); P("work.tmp").read_text(); os.unlink("work.tmp")


@nox.session
def two(session):
    P("work.tmp").write_text("two"); P("work.tmp").read_text(); os.unlink("work.tmp")
