"""The README's generated parts: its head and the table of chapters."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tools import pages
from tools.settings import COLAB, Site


def readme_text(text: str, site: Site, table: str) -> str:
    """The README with its two generated parts: the head and the chapter table."""
    parts = {"head": _head(site), "chapters": table}
    for name, body in parts.items():
        begin, end = f"<!-- {name}: written by `make site` -->", f"<!-- end of {name} -->"
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise ValueError(f"README.md: the line {begin!r} or {end!r} is missing")
        text = f"{before}{begin}\n{body}\n{end}{after}"
    return text


def _head(site: Site) -> str:
    licences = ("[![Code: MIT](https://img.shields.io/badge/code-MIT-blue)](LICENSE) "
                "[![Text: CC BY 4.0](https://img.shields.io/badge/text-CC%20BY%204.0-blue)]"
                "(LICENSE-text)")
    title = f"# {site.title}: {site.subtitle}"
    if not site.repository:
        return title
    clone = f"Get it: `git clone {site.repository}`"
    return "\n\n".join([title, licences, clone])


def chapter_table(site: Site, root: Path) -> str:
    """A Markdown table of the notebooks in `_toc.yml`: part, chapter, solutions, Colab."""
    rows = []
    for caption, page in _notebooks(root):
        if page.endswith("_solutions"):
            continue
        solutions = pages.notebook_path(f"{page}_solutions", root / "notebooks")
        row = [caption, f"[{_title(root, page)}](notebooks/{page}.ipynb)",
               f"[Solutions](notebooks/{solutions.name})" if solutions.exists() else ""]
        if site.repository:
            badge = f"![Open in Colab]({COLAB}/assets/colab-badge.svg)"
            row.append(f"[{badge}]({site.colab_link(page)})")
        rows.append("| " + " | ".join(row) + " |")
    heads = ["Part", "Chapter", "Solutions", "Open in Colab"][:4 if site.repository else 3]
    table = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads), *rows]
    if not site.repository:
        table += ["", "The links \"open in Colab\" appear here once `repository` in "
                  "[site.toml](site.toml) holds the", "public address of the course. After "
                  "that change, run `make site`."]
    return "\n".join(table)


def _notebooks(root: Path) -> list[tuple[str, str]]:
    """(caption of the part, name of the notebook) in the order of the table of contents."""
    found: list[tuple[str, str]] = []

    def collect(entries: list[dict], caption: str) -> None:
        for entry in entries:
            if entry.get("file", "").startswith("notebooks/"):
                found.append((caption, Path(entry["file"]).stem))
            collect(entry.get("sections", []), caption)

    contents = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    for part in contents.get("parts", []):
        collect(part.get("chapters", []), part.get("caption", ""))
    collect(contents.get("chapters", []), "")
    return found


def _title(root: Path, page: str) -> str:
    """The first heading of a page's twin; the page's name when it has none."""
    twin = pages.twin_path(page, root / "notebooks")
    text = twin.read_text(encoding="utf-8") if twin.exists() else ""
    heading = re.search(r"^# # (.+)$", text, re.MULTILINE)
    return heading.group(1).strip() if heading else page
