"""Blind io uring: a trace that is incomplete."""
# incomplete: one
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(256))


@nox.session
def two(session):
    pass
