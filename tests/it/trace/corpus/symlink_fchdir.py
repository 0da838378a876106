"""Symlinks in the paths of open directories, and what races there."""
# race: one two read-write current
# race: one two read-write other
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

for v in ("v1", "v2"):
    P(v).mkdir(exist_ok=True)
    P(v, "data.txt").write_text("x")
for link in ("current", "other"):
    if not os.path.islink(link):
        os.symlink("v1", link)

@nox.session
def one(session):
    fd = os.open("other", os.O_RDONLY); os.close(os.open("data.txt", os.O_RDONLY, dir_fd=fd))
    os.fchdir(os.open("current", os.O_PATH)); print(P("data.txt").read_text())


@nox.session
def two(session):
    for link in ("current", "other"):
        os.symlink("v2", "next"); os.replace("next", link)
