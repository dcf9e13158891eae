"""Reading files that people wrote: with a byte-order mark, with line ends of Windows, packed."""

import codecs
import lzma
from pathlib import Path

from companion.errors import CourseError

# Windows writes these first. A file without a mark is read as UTF-8.
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file, without their ends; ``.xz`` is unpacked.

    UTF-8, and UTF-16 where the file begins with its mark. Lines end with LF, CRLF or CR, and
    nowhere else: a separator of Unicode belongs to the line. The mark is no part of the text,
    not even where files with marks were joined.

    Raises:
        CourseError: no such file, no right to read it, another encoding, a damaged ``.xz``.
    """
    path = Path(path)
    opener = lzma.open if path.suffix == ".xz" else open
    try:
        with opener(path, "rb") as handle:
            begin = handle.read(4)
        encoding = next((MARKS[mark] for mark in MARKS if begin.startswith(mark)), "utf-8")
        with opener(path, "rt", encoding=encoding) as handle:
            lines = [line.removesuffix("\n").lstrip("\ufeff") for line in handle]
    except (lzma.LZMAError, EOFError):
        raise CourseError(f"{path.name} is damaged: fetch it again") from None
    except OSError as problem:
        raise CourseError(f"{path.name} cannot be read ({problem.strerror}): give the path of a "
                          "file that is there") from None
    except UnicodeError:
        raise CourseError(f"{path.name} is not UTF-8: save it as UTF-8") from None
    if any("\0" in line for line in lines):
        raise CourseError(f"{path.name} holds NUL bytes, so it is no text in UTF-8: save it as "
                          "UTF-8")
    return lines


def read_text(path: str | Path) -> str:
    """The whole file as ``read_lines`` reads it, lines joined by LF."""
    return "\n".join(read_lines(path))
