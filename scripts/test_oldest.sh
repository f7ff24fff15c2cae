#!/usr/bin/env bash
# Test what uses networks on the oldest versions that setup.cfg allows.
#
#   bash scripts/test_oldest.sh [pytest arguments]
#
# SYNTHTF_OLDEST names the folder of the virtual environment, which is kept; by default it is made
# anew and deleted.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/environment.sh
source scripts/environment.sh

folder="${SYNTHTF_OLDEST:-$(mktemp -d)}"
if [ -z "${SYNTHTF_OLDEST:-}" ]; then trap 'rm -rf "$folder"' EXIT; fi

# "keras>=3.13.2" of install_requires becomes "keras==3.13.2".
read -ra oldest < <("$(find_python)" - <<'PYTHON'
from configparser import ConfigParser

config = ConfigParser()
config.read("setup.cfg")
print(*config["options"]["install_requires"].replace(">=", "==").split())
PYTHON
)
# TensorFlow 2.18 exists for Python 3.11 and 3.12 only.
export SYNTHTF_PYTHONS="python3.11 python3.12 python3"
python="$(make_environment "$folder")"
"$python" -m pip install --quiet --no-compile "${oldest[@]}" pytest pytest-xdist
export PYTHONPATH="$PWD" TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}" MPLBACKEND=agg
echo "Testing on ${oldest[*]}"
"$python" -m pytest --numprocesses 2 --dist worksteal -p no:cacheprovider \
    tests/runs/test_stored_run.py tests/runs/test_model_file.py tests/data/test_shipped_models.py \
    tests/test_every_keras.py "$@"
