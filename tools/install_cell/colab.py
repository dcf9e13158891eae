# Set-up, written from site.toml: installs the course package on Colab, elsewhere nothing.
# Colab's own torch, numpy and transformers stay as they are unless they are too old.
import importlib.util
import subprocess
import sys

SOURCE = "plm-course-companion @ git+ADDRESS"
if importlib.util.find_spec("companion") is None and "google.colab" in sys.modules:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", SOURCE], check=True)
    importlib.invalidate_caches()
if importlib.util.find_spec("companion") is None:
    raise ImportError("The course package is missing: run `make book` in the course's folder "
                      "and choose its .venv as the kernel.")
