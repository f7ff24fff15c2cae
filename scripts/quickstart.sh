#!/usr/bin/env bash
# Installs synthtf into a virtual environment and runs its demonstration, which needs no data.
#
#   bash scripts/quickstart.sh [-o DIR] [--minutes M] [--seed S]
#
# All arguments go to `synthtf demo`. The environment, .venv in the root of the repository, is
# made once and then used again.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

fail() {
    printf 'quickstart: %s\n' "$@" >&2
    exit 1
}

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if command -v "$name" >/dev/null && is_supported "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

if [ -x "$venv/bin/python" ] && ! is_supported "$venv/bin/python"; then
    fail "$venv does not hold a Python 3.10 to 3.13 that runs; delete this folder and try again."
fi

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    python="$(find_python)" || fail \
        "found no Python 3.10, 3.11, 3.12 or 3.13." \
        "Install one, on Debian and Ubuntu: sudo apt-get install python3 python3-venv python3-pip"
    echo "Making a virtual environment in $venv with $("$python" --version)"
    if ! "$python" -m venv "$venv"; then
        version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
        fail "$python cannot make virtual environments." \
            "On Debian and Ubuntu: sudo apt-get install python$version-venv"
    fi
fi

echo "Installing synthtf and TensorFlow, which takes a minute or two the first time"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$root" || fail \
    "the installation failed; its messages are above. Is the internet in reach?"

exec "$venv/bin/synthtf" demo "$@"
