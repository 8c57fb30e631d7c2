#!/usr/bin/env python3
"""Writes docs/invalid.svg, docs/ranking.svg and docs/screens/: what a terminal shows of real runs of `cad1`.

    python scripts/captures.py [--sandbox strongest|docker|bubblewrap|process] [--output docs]

Runs `cad1 demo`, which makes a small synthetic challenge with three submissions and scores them, damages a copy of
the best submission, and captures `cad1 validate` of that copy, `cad1 ranking` of the demo's store, and, at 80 and
120 columns, a queue of all four and what the commands about it show. Takes two to three minutes, and longer where
the image has to be built first. Run it again when the output of a command changes.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import os
import pty
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import zipfile
from pathlib import Path

import soundfile
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-c", "from harness.cli.app import main; main()")
WIDTH = 80
WIDTHS = (80, 120)

CAPTURES = (
    ("invalid", "validate submission_E004.zip --split test --data data", 1),
    ("ranking", "ranking --store store", 0),
)
"""Name of the picture, arguments of `cad1`, expected exit code."""

SCREENS = (
    ("queue", "score . --data data --store queue --sandbox SANDBOX", 1),
    ("status", "status --store queue", 0),
    ("submissions", "submissions --store queue", 0),
)
"""The same for pictures at `WIDTHS`."""

# Rich's own template loads a web font; this one takes a monospace font of the reader's.
TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<style>
.{unique_id}-matrix {{
    font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Runs the commands and writes the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sandbox", default="strongest", help="where the demo is scored")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="the folder of the pictures")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # a sandbox may run as another user
        run("demo", "--keep", name, "--sandbox", options.sandbox, folder=folder)
        damage(folder / "submission_E003.zip", output=folder / "submission_E004.zip")
        for picture, arguments, expected in CAPTURES:
            text = run(*shlex.split(arguments), folder=folder, expected=expected)
            path = options.output / f"{picture}.svg"
            path.write_text(draw(f"cad1 {arguments}", text), encoding="utf-8")
            print(path)
        screens = options.output / "screens"
        screens.mkdir(exist_ok=True)
        sandbox = options.sandbox if options.sandbox != "strongest" else "docker"
        for picture, arguments, expected in SCREENS:
            for width in WIDTHS:
                words = [sandbox if word == "SANDBOX" else word for word in shlex.split(arguments)]
                text = run(*words, folder=folder, expected=expected, width=width)
                path = screens / f"{picture}-{width}.svg"
                path.write_text(draw(f"cad1 {shlex.join(words)}", text, width=width), encoding="utf-8")
                print(path)


def run(*arguments: str, folder: Path, expected: int = 0, width: int = WIDTH) -> str:
    """Runs `cad1` in a folder, and returns what a terminal gets as its standard output, colours included.

    Raises:
        SystemExit: If the command exits with another code than the expected one.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "CI"}}
    environment |= {"TERM": "xterm-256color", "COLUMNS": str(width), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=slave, cwd=folder, env=environment
    ) as process:
        os.close(slave)
        written = read_all(master)
    os.close(master)
    if process.returncode != expected:
        sys.exit(f"captures: cad1 {shlex.join(arguments)} exited with {process.returncode}, not {expected}")
    return written.decode().replace("\r\n", "\n")


def read_all(terminal: int) -> bytes:
    """Everything that is written to a pseudo-terminal until its other end is closed."""
    written = b""
    while True:
        try:
            block = os.read(terminal, 65536)
        except OSError:  # Linux reports the closed end as an error, other systems as the end of the file
            return written
        if not block:
            return written
        written += block


def damage(submission: Path, *, output: Path) -> None:
    """Copies a zip with four mistakes that teams make: a typing error, a lost file, a wrong rate, swapped stems."""
    with zipfile.ZipFile(submission) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}

    def name_of(ending: str, *, last: bool = False) -> str:
        found = sorted(name for name in files if name.endswith(ending))
        return found[-1] if last else found[0]

    drums = name_of("left_drums.flac")
    files[drums.replace("left_drums", "left_drum")] = files.pop(drums)
    del files[name_of("right_vocals.flac")]
    other = name_of("left_other.flac", last=True)
    samples, _ = soundfile.read(io.BytesIO(files[other]), dtype="int16")
    stream = io.BytesIO()
    soundfile.write(stream, samples, 44100, format="FLAC", subtype="PCM_16")
    files[other] = stream.getvalue()
    bass, vocals = name_of("right_bass.flac", last=True), name_of("right_vocals.flac", last=True)
    files[bass], files[vocals] = files[vocals], files[bass]
    with zipfile.ZipFile(output, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def draw(command: str, text: str, *, width: int = WIDTH) -> str:
    """A terminal window with a command and its output as SVG; lines fold at its width, as a terminal folds them."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    for line in Text.from_ansi(text).split("\n"):
        for part in line.divide(range(width, len(line), width)):
            console.print(part, no_wrap=True, crop=False)
    console.print()  # Rich cuts off what hangs below the last line
    return console.export_svg(title="cad1", code_format=TEMPLATE)


if __name__ == "__main__":
    main()
