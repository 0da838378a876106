"""Sqlite wal, and what races there."""
# race: one two create-delete app.db-wal
# race: one two create-delete app.db-shm
# race: one two absent-create app.db-journal
# race: one two write-write app.db
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

@nox.session
def one(session):
    db = sqlite3.connect("app.db"); db.execute("PRAGMA journal_mode=WAL")
    db.execute("create table if not exists t(x)"); db.execute("insert into t values (1)"); db.commit(); db.close()


@nox.session
def two(session):
    db = sqlite3.connect("app.db"); db.execute("PRAGMA journal_mode=WAL")
    db.execute("create table if not exists t(x)"); db.execute("insert into t values (2)"); db.commit(); db.close()
