"""Runs the steps of the GitHub Action like a runner."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest
from junitparser import JUnitXml
from packaging.requirements import Requirement
from sarif_pydantic import Sarif

from harness.cli.app import cad1
from tests.validator import forge

ROOT = Path(__file__).resolve().parents[2]
ACTION = (ROOT / "action.yml").read_text("utf-8")

PYTHON = """#!/bin/sh
export PYTHONPATH={root}
if [ "$1" = -I ]; then shift; set -- -P "$@"; fi
exec {python} "$@"
"""
"""Python with this tree; as with -I, a folder that is not the tree's is imported from only without -I."""

STAND_IN = """
import pathlib, sys
from tests.validator.forge import CHALLENGE
from validator import validate
submission, output = sys.argv[-1], sys.argv[sys.argv.index("--output") + 1]
assert sys.argv[1] == "validate" and "--json" in sys.argv and "--split" in sys.argv and sys.argv[-2] == "--"
if not pathlib.Path(submission).exists():
    sys.exit(2)
report = validate(submission, CHALLENGE, quick="--quick" in sys.argv)
pathlib.Path(output).write_text(report.to_json())
sys.exit(0 if report.valid and not (report.findings and "--strict" in sys.argv) else 1)
"""


def scripts() -> list[str]:
    """The `run` blocks of the steps."""
    blocks = re.findall(r"^( +)run: \|\n((?:\1 .*\n|\n)+)", ACTION, re.MULTILINE)
    return [textwrap.dedent(body) for _, body in blocks]


def run_step(folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Runs the last step in a folder like a runner; $GITHUB_OUTPUT is its file `output`, the summary `summary`."""
    stand_in, python = folder / "stand_in.py", folder / "python"
    stand_in.write_text(STAND_IN)
    python.write_text(PYTHON.format(root=ROOT, python=sys.executable))
    python.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"], "CAD1": str(stand_in), "PYTHON": str(python),
        "SUBMISSION": "our submission.zip", "SPLIT": "test", "DATA": "", "QUICK": "false",
        "REPORT": "report.json", "GITHUB_OUTPUT": str(folder / "output"),
        "STRICT": "false", "JUNIT": "", "SARIF": "", "GITHUB_STEP_SUMMARY": str(folder / "summary"), **inputs,
    }  # fmt: skip
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", scripts()[-1]],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


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
    done = run_step(tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    output = tmp_path / "output"
    if valid is None:
        assert not output.exists()
        return
    assert output.read_text() == f"valid={valid}\n"
    assert json.loads((tmp_path / "report.json").read_text())["valid"] is (valid == "true")
    if valid == "false":
        assert re.search("^error: L6001/.*_remix.flac: This file is missing", done.stdout, re.MULTILINE)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_step_annotates_and_writes_the_summary_and_every_report(tmp_path):
    files = forge.stems()
    for name in [name for name in files if name.endswith("left_drums.flac")]:
        files[name] = forge.audio(rate=44100)
    (tmp_path / "our submission.zip").write_bytes(forge.zip_bytes(files))
    done = run_step(tmp_path, JUNIT="a junit.xml", SARIF="a.sarif")
    assert done.returncode == 1, done.stdout + done.stderr
    commands = [line for line in done.stdout.splitlines() if line.startswith("::")]
    (line,) = commands
    assert line.startswith("::error title=our submission.zip%3A Wrong sample rate [sample-rate]::L6001/")
    assert len(re.findall("^error: L600", done.stdout, re.MULTILINE)) == 4
    summary = (tmp_path / "summary").read_text()
    assert summary.startswith("### our submission.zip is invalid\n\n4 errors, 0 warnings.")
    (suite,) = JUnitXml.fromstring((tmp_path / "a junit.xml").read_bytes())
    assert suite.failures == 4
    assert len(Sarif.model_validate_json((tmp_path / "a.sarif").read_text()).runs[0].results) == 4


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_step_fails_on_a_warning_only_if_it_is_strict(tmp_path):
    files = forge.stems()
    files[forge.first()] = forge.flac(np.zeros(forge.STEM_FRAMES, np.int16), 24000)
    (tmp_path / "our submission.zip").write_bytes(forge.zip_bytes(files))
    assert run_step(tmp_path).returncode == 0
    done = run_step(tmp_path, STRICT="true", JUNIT="junit.xml")
    assert done.returncode == 1
    (suite,) = JUnitXml.fromstring((tmp_path / "junit.xml").read_bytes())
    assert suite.failures == 1


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_step_runs_nothing_of_the_workspace_and_prints_no_command(tmp_path):
    files = forge.stems() | {"##[error]x::y.flac": b"fLaC"}
    (tmp_path / "our submission.zip").write_bytes(forge.zip_bytes(files))
    for module in ("json", "pathlib", "venv", "pip", "validator"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the workspace was imported')")
    done = run_step(tmp_path)
    assert "the workspace was imported" not in done.stdout + done.stderr
    assert r"#\x23[error]x::y.flac" in done.stdout
    assert "##[" not in done.stdout + (tmp_path / "summary").read_text()


def test_python_always_runs_isolated():
    lines = "\n".join(scripts()).splitlines()
    calls = [line for line in lines if re.match(r'("\$(python|PYTHON|PLACE.*|CAD1)"|python) ', line)]
    assert len(calls) == 5
    assert all(re.match(r'("\$(python|PYTHON)"|python) -I ', call) for call in calls), calls


def test_what_the_action_uses_is_pinned():
    used = re.findall(r"uses: (\S+)", re.sub("^#.*$", "", ACTION, flags=re.MULTILINE))
    assert used
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", one) for one in used), used
    installs = [line for line in "\n".join(scripts()).splitlines() if " pip install " in line]
    assert len(installs) == 2
    assert all("--require-hashes" in one or "--no-index --no-deps" in one for one in installs)


def test_the_requirements_of_the_action_are_those_of_the_package():
    text = (ROOT / "action-requirements.txt").read_text("utf-8")
    pinned = dict(re.findall(r"^([a-z0-9.-]+)==(\S+).*\\\n    --hash=sha256:", text, re.MULTILINE))
    assert len(pinned) == len(set(re.findall(r"^([a-z0-9.-]+)[=<>]", text, re.MULTILINE)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for one in [*project["project"]["dependencies"], *project["build-system"]["requires"]]:
        requirement = Requirement(one)
        assert requirement.specifier.contains(pinned[requirement.name]), one


def test_inputs_never_become_shell_code():
    assert len(scripts()) == 2
    assert not any("${{" in script for script in scripts())


def test_every_input_of_the_action_reaches_the_step():
    inputs = re.findall(
        r"^  ([a-z-]+):$", ACTION.partition("\ninputs:\n")[2].partition("\noutputs:")[0], re.MULTILINE
    )
    assert "strict" in inputs
    assert {name for name in inputs if f"inputs.{name} }}}}" not in ACTION} == set()


def test_the_hook_calls_a_command_that_exists():
    hook = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
    fields = dict(re.findall(r"^(?:- |  )(\w+): (.*)$", hook, re.MULTILINE))
    assert fields["id"] == "cad1-validate"
    assert shlex.split(fields["entry"])[:2] == ["cad1", "validate"]
    assert fields["pass_filenames"] == "false"
    assert cad1([*shlex.split(fields["entry"])[1:], "--help"]) == 0
    files = re.compile(fields["files"])
    assert all(map(files.search, ("a/submission_E001.zip", "L1/S/L1_S_left_bass.flac", "x.tar.gz")))
    assert not files.search("README.md")
