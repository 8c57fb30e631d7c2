"""Programs that stand in for the evaluator or the decoder, in a container or as a child process."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import textwrap
from itertools import count
from pathlib import Path

from harness.protocol.lock import ProgramName
from harness.sandbox.docker.image import PROGRAMS
from harness.sandbox.local.environment import Program
from validator.challenge.rules import CAD1

PYTHON = PROGRAMS["evaluator"][0]
"""The evaluator's interpreter in the image."""

FRAMES = r"""
import hashlib, json, os, signal, struct, sys, time
def take(count):
    data = bytearray()
    while len(data) < count:
        piece = os.read(0, min(count - len(data), 2**20))
        if not piece:
            sys.exit(130)
        data += piece
    return bytes(data)
def frame():
    kind, length = struct.unpack(">cQ", take(9))
    return kind, take(length)
def put(data):
    while data:
        data = data[os.write(1, data):]
def reply(kind, content):
    put(struct.pack(">cQ", kind, len(content)) + content)
"""
"""Reads and writes frames, for a script."""

_EVALUATOR = r"""
job = json.loads(frame()[1])
count = 0
def say(**line):
    put(json.dumps({"nonce": job["nonce"], **line}).encode() + b"\n")
def hello(**more):
    line = {"type": "hello", "scorer_digest": job["scorer_digest"], "locked": True, "versions": {}, "cpu": "none"}
    say(**{**line, **more})
def values(value, **more):
    return {**dict.fromkeys(NAMES, value), **more}
def scored(example, **more):
    line = {"type": "example", "song": example[0], "listener": example[1], "values": values(0.5),
            "seconds": 0.0, "cpu_seconds": 0.0}
    say(**{**line, **more})
def failed(example, **more):
    line = {"type": "failure", "song": example[0], "listener": example[1], "fault": "bug", "message": "it broke"}
    say(**{**line, **more})
def audited(audit, **more):
    line = {"type": "audit", "song": audit[0], "listener": audit[1], "value": audit[2], "haaqi": 0.5,
            "seconds": 0.0}
    say(**{**line, **more})
def done(**more):
    say(**{"type": "done", "examples": count, "failures": 0, "peak_memory": 1, **more})
def questions():
    # answers songs; yields examples (song, listener) and audits (song, listener, value)
    global count
    song = None
    while True:
        message = json.loads(frame()[1])
        if message["type"] == "song":
            song, found = message["song"], hashlib.sha256()
            for stem in STEMS:
                pcm = frame()[1]
                found.update(f"{stem} {len(pcm) // 4}\n".encode() + pcm)
            say(type="references", song=song, sha256=found.hexdigest())
        elif message["type"] == "batch":
            for _ in range(len(NAMES) * len(message["listeners"])):
                frame()
            for one in message["listeners"]:
                count += 1
                yield song, one["listener"]
        elif message["type"] == "audit":
            for _ in range(ORDER.index(message["value"]) + 1):
                frame()
            yield song, message["listener"]["listener"], message["value"]
        else:
            return
examples = questions()
"""

_RULES = f"NAMES, STEMS, ORDER = {CAD1.columns!r}, {CAD1.stems!r}, {CAD1.scoring_order!r}\n"

EVALUATOR = FRAMES + _RULES + _EVALUATOR
"""An evaluator that follows the protocol, in pieces, for a script that does not."""

DECODER = (
    FRAMES
    + r"""
def hello():
    reply(b"J", json.dumps({"scorer_digest": DIGEST, "differences": [], "versions": {}}).encode())
def declared(flac):
    packed = int.from_bytes(flac[18:26], "big")
    return (packed & 0xFFFFFFFFF) * ((packed >> 41 & 7) + 1)
"""
)
"""A decoder's beginning, for a script that sets its `DIGEST` to the scorer digest before."""

_NUMBERS = count()


def image_tag(name: str) -> str:
    """A tag that no other test run on this engine uses."""
    return f"cad1-test:{name}-{os.getpid()}-{next(_NUMBERS)}"


def tar_of(files: dict[str, bytes]) -> io.BytesIO:
    """A tar file with files by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer


def write_program(tree: Path, script: str, *, program: ProgramName = "evaluator") -> Program:
    """A program whose `python -m harness.PROGRAM` is a script; this Python runs it."""
    package = tree / "harness" / program
    package.mkdir(parents=True, exist_ok=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").write_text("")
    (package / "__main__.py").write_text(textwrap.dedent(script))
    return Program(Path(sys.executable), tree, kernels=None, locked=True)
