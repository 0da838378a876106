"""Limits how long nox waits for captured output after a command has exited: part of noxide's host program.

Names from the other parts are used without import: see load.py.
"""

import subprocess
import time

LEAKED = []


class CapturedCommand(subprocess.Popen):
    """A command run by nox. nox would wait for all processes that the command leaves running with its output open."""

    leak_timeout = 0.0

    def communicate(self, input=None, timeout=None):
        if self.stdout is None or timeout is not None:
            return super().communicate(input, timeout)
        exited_at = None
        while True:
            try:
                return super().communicate(input, 0.2 if exited_at is None else 0.02)
            except subprocess.TimeoutExpired as error:
                input = None
                if exited_at is None and self.poll() is not None:
                    exited_at = time.monotonic()
                if exited_at is not None and time.monotonic() - exited_at >= self.leak_timeout:
                    LEAKED.append(self.args)
                    return error.output or b"", None


def limit_capture_waits(request):
    """Limits how long nox waits for processes that its commands leave running to the leak timeout."""
    popen = sys.modules.get("nox.popen")
    if getattr(popen, "subprocess", None) is subprocess:
        CapturedCommand.leak_timeout = request.get("leak_timeout_ms", 0) / 1000
        popen.subprocess = types.SimpleNamespace(**dict(vars(subprocess), Popen=CapturedCommand))
