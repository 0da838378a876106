"""Rename over, and what races there."""
# race: one two write-write config.json
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    P("config.tmp1").write_text("1"); os.replace("config.tmp1","config.json")


@nox.session
def two(session):
    P("config.tmp2").write_text("2"); os.replace("config.tmp2","config.json")
