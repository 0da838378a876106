"""Daemon, and what races there."""
# race: one two write-write daemon.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    subprocess.check_call(["sh", "-c", "setsid sh -c 'echo one > daemon.txt' > out1.txt 2>&1 & wait"])


@nox.session
def two(session):
    P("daemon.txt").write_text("two")
