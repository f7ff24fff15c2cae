#!/usr/bin/env bash
# Build the sdist, from it the wheel, install it outside of the tree, and use what was installed.
#
#   bash scripts/test_wheel.sh [FOLDER]
#
# FOLDER is given both files, if all is well.
# SYNTHTF_PYTHON names a Python that has what synthtf needs, and the package build: its packages
# are seen by the new environment, its synthtf is not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
most=40000000
if [ -z "${SYNTHTF_PYTHON:-}" ]; then
    # shellcheck source=scripts/environment.sh
    source scripts/environment.sh
    SYNTHTF_PYTHON="$(make_environment "$PWD/.venv")"
    "$SYNTHTF_PYTHON" -m pip install --quiet --editable . build
fi
python="$(realpath --no-symlinks "$SYNTHTF_PYTHON")"
kept="${1:+$(realpath "$1")}"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

"$python" -m build --outdir "$folder/dist" . >"$folder/log" || { cat "$folder/log" >&2; exit 1; }
wheel="$(ls "$folder"/dist/*.whl)"
size="$(stat -c %s "$wheel")"
echo "$(basename "$wheel"): $size bytes, at most $most"
test "$size" -lt "$most"

"$python" -m venv "$folder/env"
# Packages in a folder of a .pth file are seen, but not its own .pth files: no editable install.
"$python" -c 'import site; print(*site.getsitepackages(), sep="\n")' \
    >"$(echo "$folder"/env/lib/python*/site-packages)/needed.pth"
"$folder/env/bin/python" -m pip install --quiet --no-deps "$wheel"
cd "$folder"
export PATH="$folder/env/bin:$PATH" TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-3}"
unset PYTHONPATH
python - <<'PYTHON'
from pathlib import Path

import numpy as np
import synthtf
from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.phantoms import head_phantom
from synthtf.data.volume_writer import write_volume

assert Path(synthtf.__file__).is_relative_to(Path.cwd()), synthtf.__file__
image = render_phantom(head_phantom(0, (48, 56, 48), 4.0), "T1", spacing=4.0)
write_volume("scan.nii.gz", image, affine=np.diag([4.0, 4.0, 4.0, 1.0]))
PYTHON
synthtf --help >/dev/null
synthtf info strip-3mm
synthtf strip scan.nii.gz -o brain.nii.gz -m mask.nii.gz --no-flip
python -c 'import nibabel; assert nibabel.load("mask.nii.gz").get_fdata().sum() > 1000'
for command in synthseg synthstrip synthsr synthmorph wmh-synthseg; do
    "synthtf-$command" --help >/dev/null
done
if [ -n "$kept" ]; then mkdir -p "$kept" && cp "$folder"/dist/* "$kept"; fi
echo "The installed wheel works"
