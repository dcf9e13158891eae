"""A reader who runs a cell a second time gets no error. Part of `make test-all`."""

from __future__ import annotations

from copy import deepcopy

import pytest
from nbclient import NotebookClient

from tools import pages


@pytest.mark.slow
@pytest.mark.parametrize("page", pages.names())
def test_every_cell_runs_twice_in_a_row(page: str) -> None:
    notebook = pages.read_twin(pages.twin_path(page))
    notebook.cells = [deepcopy(cell) for cell in notebook.cells for _ in range(2)]
    NotebookClient(notebook, timeout=900, startup_timeout=600, kernel_name="python3",
                   resources={"metadata": {"path": str(pages.FOLDER)}}).execute()
