"""Abstract socket, and what races there."""
# race: one two same-address abstract socket noxide-corpus
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    s = socket.socket(socket.AF_UNIX); s.bind("\0noxide-corpus"); s.listen()


@nox.session
def two(session):
    s = socket.socket(socket.AF_UNIX); s.bind("\0noxide-corpus"); s.listen()
