# Set-up, written from site.toml: fetches and installs the course on Colab, elsewhere nothing.
# Colab's own torch, numpy and transformers stay as they are unless they are too old.
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

COURSE = Path.home() / "plm-course"  # with the committed results, which many cells read
if "google.colab" in sys.modules:
    if not COURSE.exists():
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", "--branch", "BRANCH",
                        "ADDRESS", str(COURSE)], check=True)
    if importlib.util.find_spec("companion") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", str(COURSE)], check=True)
        importlib.invalidate_caches()
    os.chdir(COURSE / "notebooks")
if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing: run `make book` in the course's folder "
                      "and choose its .venv as the kernel.")
