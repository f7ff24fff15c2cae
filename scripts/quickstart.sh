#!/usr/bin/env bash
# Installs synthtf into a virtual environment and runs its demonstration, which needs no data.
#
#   bash scripts/quickstart.sh [-o DIR] [--steps N] [--minutes M] [--seed S]
#
# All arguments go to `synthtf demo`. The environment, .venv in the root of the repository, is
# made once and then used again.
set -euo pipefail

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source=scripts/environment.sh
source "$root/scripts/environment.sh"
python="$(make_environment "$root/.venv")"

echo "Installing synthtf and TensorFlow, which takes a minute or two the first time"
if ! "$python" -m pip install --quiet --disable-pip-version-check "$root"; then
    echo "The installation failed; its messages are above. Is the internet in reach?" >&2
    exit 1
fi

exec "$root/.venv/bin/synthtf" demo "$@"
