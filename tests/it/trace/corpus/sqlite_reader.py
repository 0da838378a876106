"""Sqlite reader, and what races there."""
# race: one two absent-create app.db-journal
# race: one two read-write app.db
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    db = sqlite3.connect("app.db"); db.execute("create table t(x)"); db.commit(); db.close()


@nox.session
def two(session):
    db = sqlite3.connect("app.db"); print(db.execute("select count(*) from t").fetchall()); db.close()
