"""Interpreters of scripts, and what races there."""
# race: one two read-write interpreter
# race: one two read-write outer
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

def script(name, interpreter):
    P(name).write_text(f"#!{interpreter}\n"); P(name).chmod(0o755)

if not os.path.exists("tool"):
    script("tool", "./outer -e"); script("outer", "./interpreter"); shutil.copy(shutil.which("true"), "interpreter")

@nox.session
def one(session):
    subprocess.run(["./tool"])


@nox.session
def two(session):
    script("outer", "./interpreter -e"); shutil.copy(shutil.which("env"), "interpreter")
