#!/bin/sh
# Creates an environment, installs a set of packages and the companion, then leaves the stamp file
# that tells make that nothing is to be done next time.
#     tools/install.sh VENV STAMP SET [PYTHON]
# SET is one of: tested (requirements.txt), latest (the newest releases within the ranges of
# pyproject.toml), oldest (the floors of these ranges).
set -eu
venv=$1 stamp=$2 set=$3 chosen=${4:-}

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
    if [ -e "$venv" ] && [ ! -e "$venv/.made-here" ] && ! ls "$venv"/.installed-* >/dev/null 2>&1
    then
        echo "$venv has no Python 3.11 to 3.14 with pip, and was not made by make: move it" \
             "elsewhere" >&2
        exit 1
    fi
    rm -rf "$venv"
    "$found" -m venv "$venv"
    touch "$venv/.made-here"
fi

install() {
    "$venv/bin/python" -m pip install --disable-pip-version-check "$@"
}

case $set in
    latest)
        install --upgrade --upgrade-strategy eager --editable '.[dev]' ;;
    oldest)
        install packaging
        "$venv/bin/python" -m tools.requirements --floors > "$venv/floors.txt"
        # On Linux the usual build of torch needs CUDA. Where no index has its CPU build, the
        # newest torch is taken, and everything else at its floor.
        torch=$(grep '^torch==' "$venv/floors.txt")
        if [ "$(uname)" = Linux ] && ! install "$torch+cpu"; then
            echo "There is no CPU build of $torch here: the newest torch is tested" >&2
            grep -v '^torch==' "$venv/floors.txt" > "$venv/others.txt"
            mv "$venv/others.txt" "$venv/floors.txt"
        fi
        install --requirement "$venv/floors.txt" --editable '.[dev]' ;;
    *)
        install --requirement requirements.txt
        install --no-deps --editable . ;;
esac
rm -f "$venv"/.installed-*
touch "$stamp"
