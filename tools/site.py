"""Write what depends on `site.toml`: the one place that holds the project's public address.

    python -m tools.site            write
    python -m tools.site --check    name the files that are out of date, exit 1 if there are any

Every function here turns an old text into a new one and touches nothing else of it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from companion import storage
from tools import pages
from tools.first_cell import notebook_text, twin_text
from tools.readme import chapter_table, readme_text
from tools.settings import COLAB, Site


def config_text(text: str, site: Site) -> str:
    """The configuration of Jupyter Book with title, repository and launch buttons as set."""
    quoted = json.dumps(site.repository)
    repository = f"repository:\n  url: {quoted}\n"
    launch = "launch_buttons:\n  notebook_interface: classic\n"
    text = re.sub(r"^  use_repository_button:.*\n", "", text, flags=re.MULTILINE)
    if site.repository:
        repository += f"  branch: {json.dumps(site.branch)}\n"
        launch += f"  colab_url: {COLAB}\n"
        text = re.sub(r"^html:\n", "html:\n  use_repository_button: true\n", text,
                      count=1, flags=re.MULTILINE)
    text = re.sub(r"^title:.*$", lambda _: f"title: {json.dumps(site.title)}", text,
                  count=1, flags=re.MULTILINE)
    return _with_block(_with_block(text, "repository", repository), "launch_buttons", launch)


def _with_block(text: str, key: str, block: str) -> str:
    """Replace the top-level YAML block `key`, or append it."""
    pattern = re.compile(rf"^{key}:[^\n]*\n(?:[ \t]+[^\n]*\n)*", re.MULTILINE)
    if pattern.search(text):
        return pattern.sub(lambda _: block, text, count=1)
    return text.rstrip("\n") + "\n\n" + block


def citation_text(text: str, site: Site) -> str:
    """CITATION.cff with the title and, once it is known, the address of the code."""
    title = json.dumps(f"{site.title}: {site.subtitle}")
    text = re.sub(r"^title:.*$", lambda _: f"title: {title}", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^repository-code:.*\n", "", text, flags=re.MULTILINE)
    return text + (f"repository-code: {json.dumps(site.repository)}\n" if site.repository else "")


def wanted_texts(site: Site, root: Path) -> dict[Path, str]:
    """Every file that depends on the settings, with the text that it should have."""
    def old(path: Path) -> str:
        return path.read_text(encoding="utf-8")

    readme, config, citation = (root / name for name in
                                ("README.md", "_config.yml", "CITATION.cff"))
    texts = {readme: readme_text(old(readme), site, chapter_table(site, root)),
             config: config_text(old(config), site),
             citation: citation_text(old(citation), site)}
    for path in sorted((root / "notebooks").glob("*.py")):
        texts[path] = twin_text(old(path), site)
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        texts[path] = notebook_text(old(path), site)
    return texts


def stale_files(site: Site, root: Path) -> dict[Path, str]:
    """The files whose text is not what the settings ask for, with the text they ask for."""
    return {path: text for path, text in wanted_texts(site, root).items()
            if path.read_text(encoding="utf-8") != text}


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when --check finds a file that is out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--root", type=Path, default=pages.ROOT, help="folder of site.toml")
    options = parser.parse_args(arguments)
    try:
        stale = stale_files(Site.read(options.root / "site.toml"), options.root)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for path, text in stale.items():
        if not options.check:
            storage.write_text(path, text)
        print(("out of date: " if options.check else "written: ")
              + str(path.relative_to(options.root)))
    return 1 if stale and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
