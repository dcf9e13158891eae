"""What no committed text may hold: paths of the machine that wrote it."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Put together from parts, so that this file does not match its own pattern.
_FOLDERS = "|".join(["home", "Users", "root", "tmp", "var/folders"])
_UNIX = rf"(?<![\w.:/-])/(?:{_FOLDERS})/\w"
_WINDOWS = r"\b[A-Z]:\\+(?:Users|Windows)\\"
_HERE = {str(Path(__file__).resolve().parent.parent), str(Path.home()), sys.prefix,
         tempfile.gettempdir()}
_LOCAL = "|".join(re.escape(path) for path in sorted(_HERE) if path.count("/") > 1)
MACHINE_PATH = re.compile("|".join(part for part in (_UNIX, _WINDOWS, _LOCAL) if part))


def machine_paths(text: str) -> Iterator[str]:
    """Yield a short excerpt around every machine path in `text`."""
    for match in MACHINE_PATH.finditer(text):
        start = max(match.start() - 10, 0)
        yield text[start:match.end() + 30].replace("\n", " ")
