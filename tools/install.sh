#!/bin/sh
# Creates .venv, installs the tested set and the companion, then leaves the stamp file that
# tells make that nothing is to be done next time.  Usage: tools/install.sh VENV STAMP [PYTHON]
set -eu
venv=$1 stamp=$2 chosen=${3:-}

suitable() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
        2>/dev/null
}

if ! { [ -x "$venv/bin/python" ] && suitable "$venv/bin/python" &&
       "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
    found=
    for python in ${chosen:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
        if suitable "$python"; then found=$python; break; fi
    done
    if [ -z "$found" ]; then
        echo "No Python 3.11 to 3.14 with venv found: install one (Debian: python3 and" \
             "python3-venv), or name it: make book PYTHON=/path/to/python3" >&2
        exit 1
    fi
    rm -rf "$venv"
    "$found" -m venv "$venv"
fi

"$venv/bin/python" -m pip install --disable-pip-version-check -r requirements.txt
"$venv/bin/python" -m pip install --disable-pip-version-check --no-deps --editable .
rm -f "$venv"/.installed-*
touch "$stamp"
