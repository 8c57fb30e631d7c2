"""Other distributions that install a package called `harness` or `validator` over the files of cad1-harness."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

OWN_NAME = "cad1-harness"
PACKAGES = frozenset({"harness", "validator"})
MAX_NAMED = 3
"""Files that a sentence names."""


def rival_distributions(root: Path) -> list[str]:
    """Names each other distribution with files in the packages of the tree at `root`, one sentence each.

    Such a distribution has replaced files of cad1-harness, or added some to its packages. One that is installed in
    another folder of the import path has not, and is left out.

    Args:
        root: The folder that holds `harness` and `validator`.
    """
    root = root.resolve()
    return [_sentence(one, files) for one in distributions() if (files := list(_files_below(one, root)))]


def _files_below(distribution: Distribution, root: Path) -> Iterator[str]:
    """A distribution's files in our packages, relative to `root`; none for cad1-harness itself."""
    if _normalized(distribution) == OWN_NAME:
        return
    for file in distribution.files or ():
        if (
            file.parts[0] in PACKAGES
            and Path(str(distribution.locate_file(file.parts[0]))).parent.resolve() == root
        ):
            yield file.as_posix()


def _normalized(distribution: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()


def _sentence(distribution: Distribution, files: list[str]) -> str:
    named = ", ".join(files[:MAX_NAMED]) + (
        f" and {len(files) - MAX_NAMED} more" if len(files) > MAX_NAMED else ""
    )
    return (
        f"the distribution {distribution.metadata['Name']} {distribution.version} has installed files into the "
        f"packages of {OWN_NAME}: {named}"
    )


HINT = (
    f"Uninstall that distribution, then reinstall {OWN_NAME} into an environment of its own (`uv tool install`, "
    "`pipx`)."
)
"""How to fix it."""
