"""The environment variables under which pages are executed and tests are run.

One list for both, so that a page and its test see the same machine. A value that is already
set wins (for example OMP_NUM_THREADS=4), except for the plotting backend.
"""

from __future__ import annotations

import os

DEFAULTS = {
    # Nothing is fetched: the course must work without a network.
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # Bars differ from run to run and would be stored as outputs. In a reader's own
    # notebook none of these is set, so the bars are there.
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    # The number of threads decides the order of additions, hence the last digits; so
    # does the device. `make test` runs two pages at a time.
    "OMP_NUM_THREADS": "1",
    # Threads that wait sleep instead of spinning. With spinning, a second busy program makes
    # a chapter ten times slower.
    "OMP_WAIT_POLICY": "PASSIVE",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONHASHSEED": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUTF8": "1",
    # Kernels come from the running environment, never from a user's own kernel list.
    "JUPYTER_PREFER_ENV_PATH": "1",
    # Large freed blocks are kept instead of being returned to the system at every step.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}


def apply() -> None:
    """Set the variables for this process and for every kernel that it starts."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Kernels inherit this: any other backend would leave the pages without figures.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
