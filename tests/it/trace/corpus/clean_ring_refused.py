"""A program that does without io_uring where there is none gets none, and its trace is whole."""
# no race
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

ASK = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
assert libc.syscall(425, 1, ctypes.create_string_buffer(256)) == -1
assert ctypes.get_errno() == errno.ENOSYS, ctypes.get_errno()
"""

@nox.session
def one(session):
    # Node is known by its name alone.
    node = P(session.create_tmp(), "node")
    shutil.copy(os.path.realpath(sys.executable), node)
    subprocess.run([node, "-c", ASK], env={**os.environ, "PYTHONHOME": sys.base_prefix}, check=True)


@nox.session
def two(session):
    pass
