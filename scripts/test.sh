#!/usr/bin/env bash
# Install what the tests need and run them all.
#
#   bash scripts/test.sh [--backend tensorflow|jax|torch] [--slow] [pytest arguments]
#
# SYNTHTF_PYTHON names a Python that has everything already; nothing is installed then.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --backend) export KERAS_BACKEND="$2"; shift 2 ;;
        *) arguments+=("$1"); shift ;;
    esac
done
backend="${KERAS_BACKEND:-tensorflow}"

if [ -n "${SYNTHTF_PYTHON:-}" ]; then
    python="$SYNTHTF_PYTHON"
else
    # shellcheck source=scripts/environment.sh
    source scripts/environment.sh
    python="$(make_environment "$PWD/.venv")"
    "$python" -m pip install --quiet --editable ".[dev]"
    if [ "$backend" = torch ]; then "$python" -m pip install --quiet ".[torch]"; fi
fi

"$python" -m ruff check .
"$python" -m ruff format --check .
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}" MPLBACKEND=agg
echo "Testing on $backend"
exec "$python" -m pytest --numprocesses 2 --dist loadfile ${arguments[@]+"${arguments[@]}"}
