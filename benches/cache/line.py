"""A line of known speed to the package index: a proxy that lets only so much pass, for all connections together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator

PIECE = 16 << 10
"""Bytes that pass at once."""
LATE = 0.05
"""Seconds that a piece may catch up: sleeps last longer than asked for."""


class Line:
    """Passes on connections (HTTP's CONNECT), what comes back no faster than `megabits` a second."""

    def __init__(self, megabits: float) -> None:
        self.rate = megabits * 1e6 / 8
        self.free_at = time.monotonic()
        self.passed = 0

    async def turn(self, count: int) -> None:
        """Waits until this many bytes more have come over the line."""
        now = time.monotonic()
        self.passed += count
        self.free_at = max(now - LATE, self.free_at) + count / self.rate
        await asyncio.sleep(max(0, self.free_at - now))

    async def pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, narrow: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await source.read(PIECE):
                if narrow:
                    await self.turn(len(piece))
                target.write(piece)
                await target.drain()
        with contextlib.suppress(OSError, RuntimeError):
            target.write_eof()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            word, place, _ = head.split(maxsplit=2)
            host, _, port = place.rpartition(":")
            if word != "CONNECT":
                writer.write(b"HTTP/1.1 405 only CONNECT\r\n\r\n")
                return
            from_there, there = await asyncio.open_connection(host.strip("[]"), int(port), limit=PIECE)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await asyncio.gather(self.pump(reader, there, False), self.pump(from_there, writer, True))
            there.close()
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass  # the client sees a closed connection, and says so
        finally:
            writer.close()


@contextlib.contextmanager
def line(megabits: float | None) -> Iterator[dict[str, str]]:
    """Variables by which programs use a line of this speed while the block lasts; none of them where it has no limit."""
    if megabits is None:
        yield {}
        return
    narrow, loop, ready, port = Line(megabits), asyncio.new_event_loop(), threading.Event(), []

    async def open_it() -> None:
        server = await asyncio.start_server(narrow.serve, "127.0.0.1", 0, limit=PIECE)
        port.append(server.sockets[0].getsockname()[1])

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(open_it())
        ready.set()
        loop.run_forever()

    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    try:
        yield {name: f"http://127.0.0.1:{port[0]}" for name in ("HTTPS_PROXY", "https_proxy")}
    finally:
        loop.call_soon_threadsafe(loop.stop)
    # An index without TLS is not asked by CONNECT: its figures would be those of a line without limit.
    if not narrow.passed:
        raise SystemExit(f"nothing came over the line of {megabits:g} Mbit/s: is the package index asked without TLS?")
