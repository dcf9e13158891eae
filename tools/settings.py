"""The settings of `site.toml`: the one place that holds the project's public address."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

COLAB = "https://colab.research.google.com"
_REPOSITORY = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+?)")


@dataclass(frozen=True)
class Site:
    """The settings. `repository` is empty as long as the public address is not known."""

    title: str
    subtitle: str
    repository: str
    branch: str

    @classmethod
    def read(cls, path: Path) -> Site:
        """Read `site.toml`; ValueError (one line) when a key or the address is wrong."""
        keys = tomllib.loads(path.read_text(encoding="utf-8"))
        wanted = set(cls.__dataclass_fields__)
        if set(keys) != wanted:
            raise ValueError(f"{path.name}: keys {sorted(keys)}; expected {sorted(wanted)}")
        if keys["repository"] and not _REPOSITORY.fullmatch(keys["repository"]):
            raise ValueError(f"{path.name}: repository {keys['repository']!r} is not of the form "
                             "https://github.com/OWNER/NAME")
        return cls(**keys)

    def colab_link(self, page: str) -> str:
        """Address that opens `notebooks/PAGE.ipynb` in Colab. Needs a repository."""
        name = self.repository.removeprefix("https://github.com/")
        return f"{COLAB}/github/{name}/blob/{self.branch}/notebooks/{page}.ipynb"
