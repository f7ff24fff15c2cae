#!/usr/bin/env bash
# Build the documentation into docs/_build; any warning fails.
#
#   bash scripts/documentation.sh
#
# SYNTHTF_PYTHON names a Python that has everything already; nothing is installed then.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -n "${SYNTHTF_PYTHON:-}" ]; then
    python="$SYNTHTF_PYTHON"
else
    # shellcheck source=scripts/environment.sh
    source scripts/environment.sh
    python="$(make_environment "$PWD/.venv")"
    "$python" -m pip install --quiet --editable ".[docs]"
fi
"$python" -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build
echo "docs/_build/index.html"
