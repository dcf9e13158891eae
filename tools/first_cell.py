"""The first code cell of every notebook, in twins and notebooks: written, never by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tools import pages
from tools.settings import Site

_CELLS = Path(__file__).parent / "install_cell"


def install_cell(site: Site) -> str:
    """Source of the first code cell. Without a repository there is nothing to install from."""
    name = "colab.py" if site.repository else "local.py"
    text = (_CELLS / name).read_text(encoding="utf-8").rstrip("\n")
    return text.replace("ADDRESS", site.repository).replace("BRANCH", site.branch)


_TAGS = f'# %% tags=["{pages.INSTALL_TAG}", "hide-input"]\n'
_INSTALL = re.compile(rf'^# %% tags=\[[^\]\n]*"{pages.INSTALL_TAG}"[^\n]*\n.*?(?=^# %%|\Z)',
                      re.MULTILINE | re.DOTALL)
_FIRST_CODE = re.compile(r"^# %%(?! \[markdown\])", re.MULTILINE)


def twin_text(text: str, site: Site) -> str:
    """A text twin with the install cell as it must be; put before the first code cell if new."""
    cell = _TAGS + install_cell(site) + "\n\n"
    if _INSTALL.search(text):
        return _INSTALL.sub(lambda _: cell, text, count=1).rstrip("\n") + "\n"
    first = _FIRST_CODE.search(text)
    if first is None:
        return text
    return text[:first.start()] + cell + text[first.start():]


def notebook_text(text: str, site: Site) -> str:
    """A notebook (JSON) with the source of its install cell replaced.

    The cell prints nothing, so the stored outputs stay true. A notebook without the cell is
    left alone: its twin has changed, and `make notebooks` will build it.
    """
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if pages.INSTALL_TAG in cell["metadata"].get("tags", []):
            cell["source"] = install_cell(site).splitlines(keepends=True)
            return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    return text
