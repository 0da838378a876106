"""Append, and what races there."""
# race: one two write-write log.txt
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    open("log.txt","a").write("one\n")


@nox.session
def two(session):
    open("log.txt","a").write("two\n")
