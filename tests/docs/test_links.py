"""README and docs: links lead somewhere, paths and pictures exist, pages are short."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from tests.docs.pages import PAGES, ROOT, Page

LONGEST_PAGE, LONGEST_README = 150, 120  # lines
GENERATED = re.compile(r"<!-- codes -->.*?<!-- /codes -->", re.DOTALL)  # a table with a line for each code
TOP_FOLDERS = ("bench", "docs", "harness", "scripts", "submissions", "tests", "validator", ".ci")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Page):
    broken = []
    for link in page.links():
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.path.parent / unquote(target)).resolve() if target else page.path
        exists = path.exists() and path.is_relative_to(ROOT)
        if not exists or (anchor and anchor not in Page(path).anchors()):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_of_the_repository(page: Page):
    folders = tuple(f"{folder}/" for folder in TOP_FOLDERS)
    paths = [span for span in page.spans if span.startswith(folders) and re.fullmatch(r"[\w./-]+", span)]
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules(page: Page):
    missing = []
    for span in page.spans:
        if match := re.fullmatch(r"(?:python -m )?((?:harness|validator|tests|bench)(?:\.\w+)+)", span):
            path = ROOT.joinpath(*match[1].split("."))
            parent = (
                path.parent.with_suffix(".py")
                if path.parent.with_suffix(".py").is_file()
                else path.parent / "__init__.py"
            )
            if path.is_dir() or path.with_suffix(".py").is_file():
                continue
            if not (parent.is_file() and re.search(rf"\b{path.name}\b", parent.read_text(encoding="utf-8"))):
                missing.append(span)
    assert not missing


def test_length_of_readme():
    assert len(PAGES[0].text.splitlines()) < LONGEST_README


@pytest.mark.parametrize("page", PAGES[2:], ids=lambda page: page.name)
def test_length_of_pages(page: Page):
    assert len(GENERATED.sub("", page.text).splitlines()) <= LONGEST_PAGE


def test_every_page_is_in_the_index():
    index = Page(ROOT / "docs" / "README.md")
    assert {page.path.name for page in PAGES[2:]} - {"README.md"} == {
        link for link in index.links() if link.endswith(".md") and "/" not in link
    }


def test_every_picture_is_shown():
    shown = {
        (page.path.parent / link).resolve()
        for page in PAGES
        for link in page.links()
        if link.endswith(".svg")
    }
    assert shown == set((ROOT / "docs").glob("*.svg"))
    assert len(shown) >= 3


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.svg")), ids=lambda path: path.name)
def test_pictures_load_nothing(path):
    text = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert re.findall(r"https?://[^\s\"']+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|@import|@font-face|<image", text)
    assert list(root.iter("{http://www.w3.org/2000/svg}text"))


def test_anchors_of_headings():
    page = Page(ROOT / "none.md")
    page.__dict__["text"] = (
        "# `cad1` (the command)\n## A & B\n## A & B\n```sh\n# not a heading\n```\n### [x](y.md): z\n"
    )
    assert page.anchors() == {"cad1-the-command", "a--b", "a--b-1", "x-z"}


def test_links_are_found():
    page = Page(ROOT / "none.md")
    page.__dict__["text"] = (
        '[a](b.md#c) ![p](d.svg "title") `[no](no.md)` <img src="e.svg" width="1">\n```\n[no](no.md)\n```\n'
    )
    assert list(page.links()) == ["b.md#c", "d.svg", "e.svg"]
