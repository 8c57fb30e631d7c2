"""Where this distribution was installed from, for hints that work as printed.

There is no release on a package index, so `pip install 'cad1-harness[score]'` finds nothing by itself. The hints
name the clone, archive or repository that the installation came from (PEP 610, `direct_url.json`).
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution, version
from urllib.parse import unquote, urlsplit

from harness.protocol.lock import HARNESS, Lock

DISTRIBUTION = "cad1-harness"


def version_line() -> str:
    """The version and the start of the scorer's digest, as `cad1 --version` prints them."""
    try:
        installed = version(DISTRIBUTION)
    except PackageNotFoundError:
        installed = "(not installed, run from a clone)"
    return f"cad1 {installed}, scorer {Lock.load().digest[:12]}"


def install_hint(extra: str) -> str:
    """How to install an extra into this environment: one sentence with a shell command.

    Args:
        extra: An optional dependency group of pyproject.toml, such as `score`.
    """
    command = [sys.executable, "-m", "pip", "install"]
    if importlib.util.find_spec("pip") is None:  # an environment made by uv
        command = ["uv", "pip", "install", "--python", sys.executable]
    return f"Install the extra `{extra}`: `{shlex.join([*command, *_requirement(extra)])}`."


def _requirement(extra: str) -> list[str]:
    """The arguments of `pip install` that add an extra to what is installed."""
    clone = HARNESS.parent
    if (clone / "pyproject.toml").is_file():
        return ["--editable", f"{clone}[{extra}]"]
    origin = _direct_url()
    url = str(origin.get("url", ""))
    if "dir_info" in origin or ("vcs_info" in origin and urlsplit(url).scheme == "file"):
        return [f"{unquote(urlsplit(url).path)}[{extra}]"]  # not every pip takes `git+file:` in a requirement
    if vcs := origin.get("vcs_info"):
        revision = f"@{vcs['commit_id']}" if "commit_id" in vcs else ""
        url = f"{vcs['vcs']}+{url}{revision}"
    # without an address it was installed by name, so the name works again
    return [f"{DISTRIBUTION}[{extra}] @ {url}" if url else f"{DISTRIBUTION}[{extra}]"]


def _direct_url() -> dict[str, dict[str, str]]:
    """The origin that the installer recorded (PEP 610); empty where it recorded none."""
    try:
        text = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return {}
    origin: dict[str, dict[str, str]] = json.loads(text) if text else {}
    return origin
