#!/usr/bin/env bash
# Train a segmentation network for some minutes on a GPU machine that has JAX and no TensorFlow.
#
#   bash scripts/train_gpu.sh MAPS RUN MINUTES [flags of `synthtf train segmentation`]
#
# The same call again goes on with RUN, also with one that was trained on processor cores with
# TensorFlow. MINUTES are of training, with compilation, and end after the epoch in which they are
# over; reading the maps before and packing afterwards take a minute more. Environment:
#
#   WHEELS      folder of wheels to install first into a temporary folder, for a machine without
#               internet: keras, namex, optree and nibabel
#   OUT         folder that receives the run, for machines that are given back: RUN.tar.xz.aa and so
#               on, of 15 MB each. To go on elsewhere: cat RUN.tar.xz.* | tar -xJ -C RUN
#   BENCHMARK   minutes for scripts/benchmark.py afterwards, whose figures go to OUT/*.json: synthesis
#               alone, its share of a step of SynthSeg's network, and synthesis without XLA
#   STEPS       steps of an epoch (default 200): a training can end after each
#   RATE        learning rate (default 0.004), which stays: anneal a copy with --start when it is to ship
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,20s/^# \{0,1\}//p' "$0" >&2; exit 2; }
maps=$1 run=$2 minutes=$3
shift 3
root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$root" KERAS_BACKEND=jax MPLBACKEND=agg PYTHONUNBUFFERED=1
if [ -n "${WHEELS:-}" ]; then
    site="$(mktemp -d)"
    python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$WHEELS"/*.whl
    PYTHONPATH="$root:$site"
fi
trained="$(python3 - "$run" <<'PYTHON'
import json, pathlib, sys
facts = pathlib.Path(sys.argv[1], "run.json")
print(json.loads(facts.read_text()).get("minutes_done", 0) if facts.is_file() else 0)
PYTHON
)"
limit="$(python3 -c "print($trained + $minutes )")"
python3 -m synthtf.cli.main train segmentation "$maps" -o "$run" --resume --minutes "$limit" \
    --epochs 1000000 --steps-per-epoch "${STEPS:-200}" --learning-rate "${RATE:-0.004}" --no-anneal \
    --average 0.998 --precision mixed_bfloat16 --workers 8 "$@"
echo "Trained after $SECONDS s"
tail -n 3 "$run/log.csv"
if [ -n "${OUT:-}" ]; then
    mkdir -p "$OUT"
    tar --exclude '*.bkp' -C "$run" -c . | xz -T0 -2 | split -b 15000000 - "$OUT/$(basename "$run").tar.xz."
fi
if [ -n "${BENCHMARK:-}" ]; then
    end=$((SECONDS + 60 * BENCHMARK))
    measure() { # FILE FLAGS: as long as there is time
        local left=$((end - SECONDS)) file="${OUT:-$run}/$1.json"
        shift
        [ "$left" -le 0 ] || timeout "$left" python3 "$root/scripts/benchmark.py" "$@" --json "$file" || true
    }
    measure synthesis --sizes 160 96 192 --batches 1 4
    measure training --training --sizes 160
    measure synthesis_without_xla --sizes 160 --batches 1 --xla off --repeats 2
fi
