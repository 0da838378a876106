"""Blind datagrams: a trace that is incomplete."""
# incomplete: two
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    pair = socket.socketpair(); pair[0].sendall(b"x"); pair[0].sendmsg([b"x"]); print(pair[1].recv(2))


@nox.session
def two(session):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", int(os.environ["CORPUS_RECEIVER"])))
