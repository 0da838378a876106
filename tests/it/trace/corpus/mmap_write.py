"""Mmap write, and what races there."""
# race: one two read-write map.bin
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

if not os.path.exists("map.bin"):
    P("map.bin").write_bytes(bytes(4096))

@nox.session
def one(session):
    print(P("map.bin").read_bytes()[:1])


@nox.session
def two(session):
    with open("map.bin", "r+b") as file:
        view = mmap.mmap(file.fileno(), 4096); view[0] = 65; view.flush(); view.close()
