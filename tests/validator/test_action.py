"""Runs the steps of the GitHub Action like a runner."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.validator import forge

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """#!/bin/sh
exec {python} {stand_in} "$@"
"""
STAND_IN = """
import pathlib, sys
sys.path[:0] = [{root!r}]
from tests.validator.forge import CHALLENGE
from validator import validate
submission, output = sys.argv[2], sys.argv[sys.argv.index("--output") + 1]
assert sys.argv[1] == "validate" and "--json" in sys.argv and "--split" in sys.argv
if not pathlib.Path(submission).exists():
    sys.exit(2)
report = validate(submission, CHALLENGE, quick="--quick" in sys.argv)
pathlib.Path(output).write_text(report.to_json())
sys.exit(0 if report.valid else 1)
"""


def step() -> str:
    text = (ROOT / "action.yml").read_text("utf-8")
    body = text.split("id: validate")[1].split("run: |\n")[1]
    return textwrap.dedent("\n".join(line for line in body.splitlines()))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("kind", "code", "valid"), [("right", 0, "true"), ("wrong", 1, "false"), ("none", 2, None)]
)
def test_the_step(kind, code, valid, tmp_path):
    files = forge.stems()
    if kind == "wrong":
        del files[forge.first("remix.flac")]
    if kind != "none":
        (tmp_path / "our submission.zip").write_bytes(forge.zip_bytes(files))
    stand_in, cad1 = tmp_path / "stand_in.py", tmp_path / "cad1"
    stand_in.write_text(STAND_IN.format(root=str(ROOT), here=str(Path(__file__).parent)))
    cad1.write_text(SCRIPT.format(python=sys.executable, stand_in=stand_in))
    cad1.chmod(0o755)
    output = tmp_path / "output"
    environment = {
        "PATH": os.environ["PATH"], "CAD1": str(cad1), "PYTHON": sys.executable,
        "SUBMISSION": "our submission.zip", "SPLIT": "test", "DATA": "", "QUICK": "false",
        "REPORT": "report.json", "GITHUB_OUTPUT": str(output),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step()],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    if valid is None:
        assert not output.exists()
        return
    assert output.read_text() == f"valid={valid}\n"
    assert json.loads((tmp_path / "report.json").read_text())["valid"] is (valid == "true")
    if valid == "false":
        assert re.search("^error: L6001/.*_remix.flac: This file is missing", done.stdout, re.MULTILINE)


def test_inputs_never_become_shell_code():
    text = (ROOT / "action.yml").read_text("utf-8")
    for block in text.split("run: |")[1:]:
        assert "${{" not in block.split("env:")[0].split("- name")[0]
