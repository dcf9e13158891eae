"""What was measured on: processor and versions, no name and no path."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")


def describe() -> dict:
    """Processor, its vector instructions, threads, memory, versions."""
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf8")
    except OSError:
        info = ""
    fields = {line.partition(":")[0].strip(): line.partition(":")[2].strip()
              for line in info.split("\n\n")[0].splitlines()}
    flags = fields.get("flags", "").split()
    family = f" (family {fields['cpu family']}, model {fields['model']})" if flags else ""
    names = ("torch", "transformers", "accelerate", "tokenizers", "numpy")
    return {
        "processor": fields.get("model name", platform.machine()) + family,
        "instructions": [flag for flag in FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
    }


if __name__ == "__main__":
    print(json.dumps(describe()))
