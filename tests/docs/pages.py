"""The documentation as the tests read it: pages, links, anchors, code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>\w*)[^\n]*\n(?P<code>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL
)
_SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_ATTRIBUTE = re.compile(r"""\b(?:src|srcset|href)\s*=\s*["']([^"']+)["']""")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A Markdown file of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        """Its path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without fenced code."""
        return _FENCE.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        """Inline code, each span on one line."""
        return [" ".join(code.split()) for _, code in _SPAN.findall(self.prose)]

    def fences(self, *languages: str) -> Iterator[str]:
        """Fenced code of these languages; "" is a fence without one."""
        for match in _FENCE.finditer(self.text):
            if match["language"] in languages:
                yield match["code"]

    def links(self) -> Iterator[str]:
        """Targets of links and pictures, in Markdown and in HTML."""
        prose = _SPAN.sub("", self.prose)
        yield from _LINK.findall(prose)
        yield from _ATTRIBUTE.findall(prose)

    def anchors(self) -> set[str]:
        """Anchors of its headings, as Git hosts make them."""
        found: set[str] = set()
        for heading in _HEADING.findall(self.prose):
            text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            number = 0
            while (anchor := f"{slug}-{number}" if number else slug) in found:
                number += 1
            found.add(anchor)
        return found


PAGES = [
    Page(ROOT / "README.md"),
    Page(ROOT / "CHANGELOG.md"),
    *map(Page, sorted((ROOT / "docs").glob("**/*.md"))),
]
