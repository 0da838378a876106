#!/usr/bin/env python3
"""Screenshot of the board for the README: docs/images/board-light.svg and board-dark.svg.

Copies examples/parcelbook to a temporary directory, runs noxide there once so that durations are known, runs it again
in a pseudo-terminal, and stops at the screen of the moment when `--finished` sessions have ended. The screen is drawn
as an SVG that looks the same with every font: each run of text has a fixed width, and marks, bars and the spinner are
shapes.

    cargo build --release
    scripts/board_svg.py                      # about three minutes
    scripts/board_svg.py --screen FILE        # draw again from the screen that the last run left, without running

Needs Linux and Python's standard library.
"""

import argparse
import codecs
import dataclasses
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from xml.sax.saxutils import escape

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "parcelbook"
IMAGES = REPOSITORY / "docs" / "images"
PROMPT = "noxide run"
RUN_LIMIT = 900.0


@dataclasses.dataclass(frozen=True)
class Style:
    """What the terminal shows of a cell besides its character."""

    color: str = ""
    bold: bool = False
    dim: bool = False


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colors of one image. Names of ANSI colors are those of `ANSI_COLORS`."""

    window: str
    border: str
    title_bar: str
    text: str
    dim: str
    colors: dict


LIGHT = Theme(
    window="#ffffff",
    border="#d0d7de",
    title_bar="#f6f8fa",
    text="#1f2328",
    dim="#656d76",
    colors={"red": "#cf222e", "green": "#1a7f37", "yellow": "#9a6700", "blue": "#0969da", "magenta": "#8250df",
            "cyan": "#1b7c83"},
)
DARK = Theme(
    window="#0d1117",
    border="#30363d",
    title_bar="#161b22",
    text="#e6edf3",
    dim="#8b949e",
    colors={"red": "#ff7b72", "green": "#3fb950", "yellow": "#d29922", "blue": "#58a6ff", "magenta": "#bc8cff",
            "cyan": "#39c5cf"},
)
ANSI_COLORS = ["", "red", "green", "yellow", "blue", "magenta", "cyan", ""]


class Terminal:
    """A screen that understands what the board writes: colors, line breaks, moving up, erasing."""

    SEQUENCE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines = [[]]
        self.row = self.column = 0
        self.style = Style()
        self.pending = ""

    def feed(self, text):
        text = self.pending + text
        self.pending = ""
        at = 0
        while at < len(text):
            character = text[at]
            if character == "\x1b":
                found = self.SEQUENCE.match(text, at)
                if found:
                    self.control(found[1], found[2])
                    at = found.end()
                    continue
                if len(text) - at < 16:  # a sequence that is cut off
                    self.pending = text[at:]
                    return
            elif character == "\n":
                self.row += 1
                while len(self.lines) <= self.row:
                    self.lines.append([])
            elif character == "\r":
                self.column = 0
            elif character >= " ":
                line = self.lines[self.row]
                while len(line) <= self.column:
                    line.append((" ", Style()))
                line[self.column] = (character, self.style)
                self.column += 1
            at += 1

    def control(self, parameters, final):
        numbers = [int(number or 0) for number in parameters.lstrip("?").split(";")]
        if final == "m":
            self.select_style(numbers)
        elif final == "A":
            self.row = max(0, self.row - max(1, numbers[0]))
        elif final == "J" and numbers[0] == 0:
            del self.lines[self.row + 1 :]
            del self.lines[self.row][self.column :]
        elif final == "K" and numbers[0] == 0:
            del self.lines[self.row][self.column :]

    def select_style(self, numbers):
        for number in numbers:
            if number == 0:
                self.style = Style()
            elif number == 1:
                self.style = dataclasses.replace(self.style, bold=True)
            elif number == 2:
                self.style = dataclasses.replace(self.style, dim=True)
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self.style = dataclasses.replace(self.style, color=ANSI_COLORS[number % 10])

    def text(self):
        return ["".join(character for character, _ in line).rstrip() for line in self.lines]

    def screen(self):
        """The lines as lists of (text, style) of equal style, without trailing blank lines."""
        lines = []
        for line in self.lines:
            runs = []
            for character, style in line:
                if runs and runs[-1][1] == style:
                    runs[-1][0] += character
                else:
                    runs.append([character, style])
            lines.append([(text, style) for text, style in runs])
        while lines and not "".join(text for text, _ in lines[-1]).strip():
            lines.pop()
        return lines


def copy_example(directory):
    """The example as a repository of its own, without what runs have left in it."""
    left = shutil.ignore_patterns(".nox", "build", "dist", "site", "__pycache__", ".ruff_cache", "uv.lock")
    shutil.copytree(EXAMPLE, directory, ignore=left)
    identity = ["-c", "user.name=noxide", "-c", "user.email=noxide@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "example"]):
        subprocess.run(["git", *arguments], cwd=directory, check=True)


def is_moment(terminal, finished, running):
    """Whether this is the screen to keep: enough sessions have ended, enough run and have said something."""
    lines = terminal.text()
    ended = sum(line.startswith("✓ passed") for line in lines)
    rows = [line for line in lines if re.match(r"  [\u2800-\u28ff] \w", line)]
    said = [line for line in rows if re.search(r"[━─]{8}  \S", line)]
    halfway = [line for line in rows if line.count("━") >= 3]
    return ended >= finished and len(said) >= running and bool(halfway)


def capture(command, directory, columns, finished, running):
    """Runs the command in a pseudo-terminal and returns the screen at the moment to show."""
    environment = dict(os.environ, TERM="xterm-256color", NOXIDE_COLOR="always")
    for name in list(environment):
        if name == "CI" or name.endswith("_ACTIONS"):
            del environment[name]
    process, controller = pty.fork()
    if process == 0:
        os.chdir(directory)
        os.execvpe(command[0], command, environment)
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    terminal = Terminal(columns, 30)
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    screen, deadline = None, time.monotonic() + RUN_LIMIT
    while time.monotonic() < deadline:
        ready, _, _ = select.select([controller], [], [], 1)
        if not ready:
            continue
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # the other side is closed
            break
        if not chunk:
            break
        # Each picture of the board begins by erasing the one before: what stands before that is a complete screen.
        for part in re.split(r"(?=\r\x1b\[\d+A\x1b\[J)", decode(chunk)):
            if part.startswith("\r\x1b[") and screen is None and is_moment(terminal, finished, running):
                screen = terminal.screen()
                os.kill(process, signal.SIGINT)
            terminal.feed(part)
    os.waitpid(process, 0)
    os.close(controller)
    if screen is None:
        sys.exit("the moment never came; the last screen was:\n" + "\n".join(terminal.text()))
    return screen


CELL_WIDTH, LINE_HEIGHT, FONT_SIZE = 8.4, 21, 14
MARGIN, TITLE_HEIGHT = 18, 38
FONTS = "ui-monospace,SFMono-Regular,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
DRAWN = re.compile("(━+|─+|[│✓✗\u2800-\u28ff])")


def number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def draw_glyph(character, column, top, color, opacity):
    """A character, or several equal ones of a bar, as shapes, so that no font has to know them."""
    left = MARGIN + column * CELL_WIDTH
    middle = top + LINE_HEIGHT / 2
    paint = f'stroke="{color}"{opacity}'
    if character[0] in "━─":
        height = 6 if character[0] == "━" else 2
        return (
            f'<rect x="{number(left)}" y="{number(middle - height / 2)}" '
            f'width="{number(len(character) * CELL_WIDTH)}" height="{height}" fill="{color}"{opacity}/>'
        )
    if character == "│":
        x = number(left + CELL_WIDTH / 2)
        return f'<path d="M{x} {number(top)}v{LINE_HEIGHT}" {paint}/>'
    if character == "✓":
        return (
            f'<path d="M{number(left)} {number(middle + 0.5)}l3 3.5l5.5-8" fill="none" stroke-width="1.8" '
            f'stroke-linecap="round" stroke-linejoin="round" {paint}/>'
        )
    if character == "✗":
        return (
            f'<path d="M{number(left + 0.5)} {number(middle - 3.5)}l7 7m0-7l-7 7" stroke-width="1.8" '
            f'stroke-linecap="round" {paint}/>'
        )
    dots = ord(character) - 0x2800
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    return "".join(
        f'<circle cx="{number(left + 2.4 + x * 3.6)}" cy="{number(middle - 5.4 + y * 3.6)}" r="1.2" fill="{color}"/>'
        for bit, (x, y) in enumerate(places)
        if dots & (1 << bit)
    )


def draw_run(text, column, top, style, theme):
    """A stretch of one style: text with a fixed width, and shapes between."""
    color = theme.colors.get(style.color, theme.text)
    if style.dim:
        color = theme.dim
    weight = ' font-weight="600"' if style.bold else ""
    parts = []
    for piece in DRAWN.split(text):
        if DRAWN.fullmatch(piece):
            faint = ' opacity="0.35"' if piece[0] == "─" else ""
            parts.append(draw_glyph(piece, column, top, color, faint))
        else:
            for word in re.finditer(r"\S+(?: \S+)*", piece):
                start = MARGIN + (column + word.start()) * CELL_WIDTH
                length = len(word[0]) * CELL_WIDTH
                parts.append(
                    f'<text x="{number(start)}" y="{number(top + 15)}" textLength="{number(length)}" '
                    f'lengthAdjust="spacingAndGlyphs" fill="{color}"{weight}>{escape(word[0])}</text>'
                )
        column += len(piece)
    return "".join(parts)


def draw(screen, theme, columns):
    """The screen as an SVG document."""
    prompt = [("$ ", Style(dim=True)), (PROMPT, Style(bold=True))]
    lines = [prompt, *screen]
    width = 2 * MARGIN + columns * CELL_WIDTH
    height = TITLE_HEIGHT + MARGIN * 1.5 + len(lines) * LINE_HEIGHT
    plain = "\n".join("".join(text for text, _ in line).rstrip() for line in lines)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" '
        f'width="{number(width)}" height="{number(height)}" role="img" aria-labelledby="title text">',
        '<title id="title">noxide runs the sessions of the example project in parallel</title>',
        f'<desc id="text">{escape(plain)}</desc>',
        f'<rect x=".5" y=".5" width="{number(width - 1)}" height="{number(height - 1)}" rx="9" '
        f'fill="{theme.window}" stroke="{theme.border}"/>',
        f'<path d="M1 {TITLE_HEIGHT}V9.5a8.5 8.5 0 0 1 8.5-8.5H{number(width - 9.5)}a8.5 8.5 0 0 1 8.5 8.5'
        f'V{TITLE_HEIGHT}z" fill="{theme.title_bar}"/>',
        f'<path d="M1 {TITLE_HEIGHT}H{number(width - 1)}" stroke="{theme.border}"/>',
    ]
    for index, color in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        out.append(f'<circle cx="{20 + index * 19}" cy="{TITLE_HEIGHT / 2:g}" r="5.5" fill="{color}"/>')
    out.append(
        f'<text x="{number(width / 2)}" y="{TITLE_HEIGHT / 2 + 4.5:g}" text-anchor="middle" font-size="12.5" '
        f'fill="{theme.dim}" font-family="system-ui,-apple-system,\'Segoe UI\',sans-serif">parcelbook</text>'
    )
    out.append(f'<g font-family="{FONTS}" font-size="{FONT_SIZE}" xml:space="preserve">')
    for row, line in enumerate(lines):
        column, top = 0, TITLE_HEIGHT + MARGIN * 0.75 + row * LINE_HEIGHT
        for text, style in line:
            drawn = draw_run(text, column, top, style, theme)
            column += len(text)
            if drawn:
                out.append(drawn)
    out += ["</g>", "</svg>"]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noxide", type=pathlib.Path, default=REPOSITORY / "target" / "release" / "noxide")
    parser.add_argument("--columns", type=int, default=96)
    parser.add_argument("--finished", type=int, default=5, help="sessions that have ended by then")
    parser.add_argument("--running", type=int, default=2, help="sessions that run then")
    parser.add_argument("--project", type=pathlib.Path, help="a copy of the example whose history is there already")
    parser.add_argument("--screen", type=pathlib.Path, help="draw this screen instead of running")
    arguments = parser.parse_args()
    kept = REPOSITORY / "target" / "board-screen.json"
    if arguments.screen:
        lines = json.loads(arguments.screen.read_text())
        screen = [[(text, Style(**style)) for text, style in line] for line in lines]
    else:
        noxide = str(arguments.noxide.resolve(strict=True))
        with tempfile.TemporaryDirectory() as temporary:
            project = arguments.project or pathlib.Path(temporary) / "parcelbook"
            if not arguments.project:
                copy_example(project)
                subprocess.run([noxide, "run"], cwd=project, check=True, stdout=subprocess.DEVNULL)
            screen = capture([noxide, "run"], project, arguments.columns, arguments.finished, arguments.running)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps([[(text, dataclasses.asdict(style)) for text, style in line] for line in screen]))
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, theme in (("light", LIGHT), ("dark", DARK)):
        (IMAGES / f"board-{name}.svg").write_text(draw(screen, theme, arguments.columns))
    print("\n".join("".join(text for text, _ in line).rstrip() for line in screen))


if __name__ == "__main__":
    main()
