"""Grandchild, and what races there."""
# race: one two write-write deep.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    subprocess.check_call(["sh", "-c", "sh -c 'echo one > deep.txt'; true"])


@nox.session
def two(session):
    subprocess.check_call(["sh", "-c", "sh -c 'echo two > deep.txt'; true"])
