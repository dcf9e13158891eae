"""Relative links of Markdown pages and notebooks: does the file exist, does the anchor?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token
from myst_parser.mdit_to_docutils.base import default_slugify

from tools.pages import read_notebook, read_twin

_PARSER = MarkdownIt("commonmark").enable("table")
_TARGET = re.compile(r"^\(([\w:.-]+)\)=\s*$", re.MULTILINE)
_HTML_ID = re.compile(r"<[a-z]+[^>]*\b(?:id|name)=\"([^\"]+)\"")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:|^//", re.IGNORECASE)


def markdown_of(path: Path) -> str:
    """The Markdown of a page; of a notebook, that of its Markdown cells."""
    if path.suffix == ".ipynb":
        twin = path.with_suffix(".py")
        cells = (read_twin(twin) if twin.is_file() else read_notebook(path)).cells
        return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return path.read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """Everything in a page that `#anchor` can point at, as the site builds it.

    Headings get the slug that MyST (and GitHub) gives them, numbered when it repeats.
    """
    found = set(_TARGET.findall(text)) | set(_HTML_ID.findall(text))
    tokens = _PARSER.parse(text)
    for before, inline in zip(tokens, tokens[1:]):
        if before.type != "heading_open":
            continue
        title = "".join(child.content for child in inline.children or []
                        if child.type in ("text", "code_inline"))
        slug, number = default_slugify(title), 1
        while slug in found:
            slug, number = f"{slug}-{number}", number + 1
        found.add(slug)
    return found


def links(text: str) -> Iterator[str]:
    """The addresses of all links and pictures in a Markdown text."""
    for token in _PARSER.parse(text):
        yield from _links_in(token)


def _links_in(token: Token) -> Iterator[str]:
    for child in token.children or []:
        address = child.attrGet("href") or child.attrGet("src")
        if address:
            yield str(address)
        yield from _links_in(child)


def broken_links(path: Path) -> list[str]:
    """One line for every relative link of `path` whose file or anchor is missing."""
    text, faults = markdown_of(path), []
    for address in links(text):
        if _SCHEME.match(address):
            continue
        file, _, anchor = unquote(address).partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists():
            faults.append(f"{path.name}: link {address!r} leads to no file")
        elif anchor and target.suffix in (".md", ".ipynb"):
            if anchor not in anchors(markdown_of(target)):
                faults.append(f"{path.name}: link {address!r} leads to no heading or label")
    return faults
