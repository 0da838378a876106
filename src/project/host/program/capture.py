"""What nox keeps of a command's output ends with the command: part of noxide's host program."""

import subprocess
import time

LEAKED = []


class Captured(subprocess.Popen):
    """A command of nox's. What it leaves running may hold its output open for ever: nox would wait for that."""

    patience = 0.0

    def communicate(self, input=None, timeout=None):
        if self.stdout is None or timeout is not None:
            return super().communicate(input, timeout)
        over = None
        while True:
            try:
                return super().communicate(input, 0.2 if over is None else 0.02)
            except subprocess.TimeoutExpired as late:
                input = None
                if over is None and self.poll() is not None:
                    over = time.monotonic()
                if over is not None and time.monotonic() - over >= self.patience:
                    LEAKED.append(self.args)
                    return late.output or b"", None


def end_captures(order):
    """Has nox wait for its commands, and for what they leave running no longer than a leak may take."""
    popen = sys.modules.get("nox.popen")
    if getattr(popen, "subprocess", None) is subprocess:
        Captured.patience = order.get("leak_ms", 0) / 1000
        popen.subprocess = types.SimpleNamespace(**dict(vars(subprocess), Popen=Captured))
