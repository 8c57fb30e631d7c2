"""The notes of `ranking.md` as earlier versions worded them.

A store keeps its `ranking.md` until the next command that scores. One that ledger version 2 wrote says the same in
other words, and later ones did not escape what Markdown would take for markup; they must still pass `cad1 verify`.
"""

from __future__ import annotations

import re

from harness.protocol.errors import Fault
from harness.ranking.render import CAUSES
from validator.findings.text import for_markdown
from validator.findings.wording import counted

_CAUSES_2 = {
    "the submission": Fault.SUBMISSION,
    "wrong use": Fault.USAGE,
    "the set-up": Fault.SETUP,
    "a time limit": Fault.TIMEOUT,
    "a memory limit": Fault.MEMORY,
    "the harness": Fault.BUG,
}


def reword(text: str) -> str:
    """A `ranking.md` with the notes of version 2, or without escapes, in the current wording."""
    text = re.sub(
        r"(\d+) stems scored again by pyclarity,",
        lambda match: f"{counted(int(match[1]), 'stem')} spot-checked with pyclarity,",
        text,
    )
    text = re.sub(
        r"pyclarity scores (\d+) stems otherwise",
        lambda match: f"pyclarity gives another score for {counted(int(match[1]), 'stem')}",
        text,
    )
    text = text.replace("examples scored; failed: ", "examples scored; ")
    text = re.sub(
        rf"(\d+) by fault of ({'|'.join(_CAUSES_2)})",
        lambda match: f"{match[1]} failed (cause: {CAUSES[_CAUSES_2[match[2]]]})",
        text,
    )
    text = text.replace(
        " 1 HAAQI values are undefined, because their reference is silent; "
        "their examples' scores are the means of the others.",
        " 1 HAAQI value is undefined, because its reference is silent; "
        "its example's score is the mean of the others.",
    )
    return re.sub("^- (.*)$", lambda match: f"- {for_markdown(match[1])}", text, flags=re.MULTILINE)
