"""Datagrams without a connection, and what races there."""
# race: one two same-address port 48275
# race: one two same-address port 48276
# race: one two same-address port 48277
# race: one two same-address abstract socket noxide-datagrams
import ctypes, mmap, nox, os, pathlib, shutil, socket, sqlite3, subprocess, sys, tempfile
nox.options.default_venv_backend = "none"
P = pathlib.Path

class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("parts", ctypes.c_void_p),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("length", ctypes.c_size_t),
                ("flags", ctypes.c_size_t), ("sent", ctypes.c_size_t)]

@nox.session
def one(session):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for port, s in enumerate(sockets, 48275):
        s.bind(("127.0.0.1", port))
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("\0noxide-datagrams")


@nox.session
def two(session):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b"x", ("127.0.0.1", 48275))
    s.sendmsg([b"x"], [], 0, ("127.0.0.1", 48276))
    address = ctypes.create_string_buffer(b"\2\0\xbc\x95\x7f\0\0\1" + bytes(8), 16)
    messages = (Message * 2)(); messages[1].name = ctypes.addressof(address); messages[1].namelen = 16
    ctypes.CDLL(None).sendmmsg(s.fileno(), ctypes.byref(messages), 2, 0)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        s.sendto(b"x", "\0noxide-datagrams")
    except OSError:
        pass
