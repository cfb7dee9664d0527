"""Makes the pictures of the README: a gallery in a browser, and a run on a terminal.

Needs Chromium on the PATH, and Playwright and pyte of the development tools. Run it after a
change of what a run shows or of the gallery:

    python docs/make_pictures.py
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import sys
import tempfile
import termios
import time
from html import escape
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyte
from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs/pictures"
COMMAND = (
    "banana-batch", "run", "specs/quickstart.yaml", "--sandbox",
    "--fault", "task_seconds=1-3", "--concurrency", "5",
)  # fmt: skip
COLUMNS, ROWS = 92, 12
LARGEST = 400_000
"""Bytes that a picture of the README may have."""

# ── the terminal ────────────────────────────────────────────────────────────────────────────

_CELL, _LINE, _MARGIN, _BAR = 8.4, 20, 16, 34
"""Pixels of a column at 14 pixels of type, of a row, around the text, and of the title bar."""
_TICK, _REST = 0.1, 4.0
"""Seconds of a frame at least, and of the last one before it starts again."""
_COLOURS = {
    "default": "#d8dee9", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b",
    "cyan": "#56b6c2", "blue": "#61afef", "magenta": "#c678dd", "white": "#ffffff",
}  # fmt: skip
_STYLE = """\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;\
white-space:pre}
.b{font-weight:bold}.d{opacity:.6}"""


class Frame(NamedTuple):
    """What the terminal shows from `at` seconds on: one SVG text for each row."""

    at: float
    rows: tuple[str, ...]


def record(words: tuple[str, ...], folder: Path) -> list[tuple[float, bytes]]:
    """Run a command on a terminal of its own; return what it wrote, and when."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        os.execvpe(  # noqa: S606 - the command is the one above
            words[0], words, {"PATH": path, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        )
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began, written = time.monotonic(), []
    while select.select([terminal], [], [], 60)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other side has closed
            break
        if not data:
            break
        written.append((time.monotonic() - began, data))
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    if status:
        raise SystemExit(f"the run ended with {os.waitstatus_to_exitcode(status)}")
    return written


def frames(written: list[tuple[float, bytes]], folder: Path) -> list[Frame]:
    """Play back what was written; return what was to be seen, at most ten times a second."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    prompt = "\x1b[32m$\x1b[0m " + " ".join(COMMAND) + "\r\n"
    stream.feed(prompt.encode())
    found = [Frame(0.0, _rows(screen))]
    for at, data in written:
        stream.feed(data.replace(f"{folder}/".encode(), b""))
        frame = Frame(at + 0.8, _rows(screen))
        if frame.rows == found[-1].rows:
            continue
        if frame.at - found[-1].at < _TICK and len(found) > 1:
            frame = Frame(found.pop().at, frame.rows)
        found.append(frame)
    return found


def _rows(screen: pyte.Screen) -> tuple[str, ...]:
    return tuple(_row(screen.buffer[number]) for number in range(ROWS))


def _row(cells: dict[int, pyte.screens.Char]) -> str:
    """Return a row as SVG: one piece for each run of cells of one style."""
    pieces = []
    numbered = [(number, cells[number]) for number in range(COLUMNS)]
    for style, group in groupby(numbered, lambda one: (one[1].fg, one[1].bold)):
        run = list(group)
        text = "".join(cell.data for _, cell in run)
        if text.strip():
            pieces.append(_piece(run[0][0], text, *style))
    return "".join(pieces)


def _piece(column: int, text: str, colour: str, bold: bool) -> str:
    lead = len(text) - len(text.lstrip())
    x, text = (column + lead) * _CELL, text.strip()
    length = f' textLength="{len(text) * _CELL:.1f}"' if len(text) > 1 else ""
    fill = f' fill="{_COLOURS.get(colour, _COLOURS["default"])}"' if colour != "default" else ""
    weight = ' class="b"' if bold else ""
    return f'<text x="{x:.1f}"{length}{fill}{weight}>{escape(text)}</text>'


def drawing(shown: list[Frame]) -> str:
    """Return the frames as one SVG that plays them again and again.

    Each row that ever appears is defined once. Who asked for less motion sees the last frame.
    """
    width, height = COLUMNS * _CELL + 2 * _MARGIN, ROWS * _LINE + _BAR + _MARGIN
    total = shown[-1].at + _REST
    known = {
        row: f"r{n}" for n, row in enumerate(dict.fromkeys(r for f in shown for r in f.rows if r))
    }
    rows = "".join(f'<g id="{name}">{row}</g>\n' for row, name in known.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' width="{width:.0f}" height="{height:.0f}" role="img"'
        f' fill="{_COLOURS["default"]}">'
        f"<title>{escape(' '.join(COMMAND))}</title>\n<style>{_STYLE}\n"
        f"{''.join(_timing(shown, total))}</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#1f2430"/>'
        + "".join(f'<circle cx="{18 + 18 * n}" cy="17" r="5.5" fill="#4b5263"/>' for n in range(3))
        + f"\n<defs>\n{rows}</defs>\n{''.join(_shown(shown, known))}</svg>\n"
    )


def _timing(shown: list[Frame], total: float) -> Iterator[str]:
    ends = [one.at for one in shown[1:]] + [total]
    for number, (frame, end) in enumerate(zip(shown, ends, strict=True)):
        start, stop = 100 * frame.at / total, 100 * end / total
        steps = f"{start:.2f}%{{visibility:visible}}"
        if start > 0:
            steps = "0%{visibility:hidden}" + steps
        if stop < 100:
            steps += f"{stop:.2f}%,100%{{visibility:hidden}}"
        yield f"@keyframes f{number}{{{steps}}}\n"
        plays = f"animation:f{number} {total:.1f}s step-end infinite"
        yield f"#f{number}{{visibility:hidden;{plays}}}\n"
    yield (
        "@media(prefers-reduced-motion:reduce){g{animation:none!important}"
        f"#f{len(shown) - 1}{{visibility:visible}}}}\n"
    )


def _shown(shown: list[Frame], known: dict[str, str]) -> Iterator[str]:
    for number, frame in enumerate(shown):
        uses = "".join(
            f'<use href="#{known[row]}" x="{_MARGIN}" y="{_BAR + _LINE * place + 14}"/>'
            for place, row in enumerate(frame.rows)
            if row
        )
        yield f'<g id="f{number}">{uses}</g>\n'


# ── the gallery ─────────────────────────────────────────────────────────────────────────────


def screenshot(page: Path) -> bytes:
    """Return the top of a gallery as a PNG of few colours."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("no chromium on PATH: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        window = browser.new_page(
            viewport={"width": 1280, "height": 1330}, color_scheme="light", reduced_motion="reduce"
        )
        window.goto(page.as_uri())
        window.wait_for_selector("[data-ready]")
        window.wait_for_load_state("networkidle")
        data = window.screenshot()
        browser.close()
    return smaller(data)


def smaller(data: bytes) -> bytes:
    """Return a PNG with 256 colours, dithered so that soft colours stay soft."""
    with Image.open(BytesIO(data)) as picture:
        whole = picture.convert("RGB")
    few = whole.quantize(palette=whole.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)
    out = BytesIO()
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Make both pictures from one run in a folder of its own."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "specs", folder / "specs", ignore=shutil.ignore_patterns("out"))
        written = record(COMMAND, folder)
        made = {
            "run.svg": drawing(frames(written, folder)).encode(),
            "gallery.png": screenshot(folder / "specs/out/quickstart-sandbox/gallery.html"),
        }
    for name, data in made.items():
        if len(data) > LARGEST:
            raise SystemExit(f"{name} has {len(data)} bytes, too many for a README")
        (PICTURES / name).write_bytes(data)
        sys.stdout.write(f"docs/pictures/{name}: {len(data):,} bytes\n")


if __name__ == "__main__":
    main()
