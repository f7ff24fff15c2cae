#!/usr/bin/env bash
# Train a segmentation network for some minutes on a GPU machine that has JAX and no TensorFlow.
#
#   bash scripts/train_gpu.sh MAPS RUN MINUTES [flags of `synthtf train segmentation`]
#
# The same call again goes on with RUN, also with one that was trained on processor cores with
# TensorFlow; the flags of its network, data and optimizer need not be repeated then, and what is given
# again must be the same. MINUTES are of training, with compilation, and end after the epoch in which they
# are over; reading the maps before and packing afterwards take a minute more. A training that fails, or
# is not over three minutes later, is ended and packed as it was after its last epoch. Environment:
#
#   WHEELS      folder of wheels to install first into a temporary folder, for a machine without
#               internet: keras, namex, optree and nibabel
#   OUT         folder that receives the run, for machines that are given back: RUN.tar.xz.aa and so
#               on, of 15 MB each. To go on elsewhere: cat RUN.tar.xz.* | tar -xJ -C RUN
#   OUT_MB      most that the packed run may take (default: no limit): 11.4 MB for a million weights. A larger
#               one is packed without its checkpoints, and goes on by --start
#   BENCHMARK   minutes for scripts/benchmark.py afterwards, whose figures go to OUT/*.json: synthesis
#               alone, its share of a step of SynthSeg's network, and synthesis without XLA
#   STEPS       steps of an epoch (default 200): a training can end after each
#   RATE        learning rate (default 0.004), which stays: anneal a copy with --start when it is to ship
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,24s/^# \{0,1\}//p' "$0" >&2; exit 2; }
maps=$1 run=$2 minutes=$3
shift 3
root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$root" KERAS_BACKEND=jax MPLBACKEND=agg PYTHONUNBUFFERED=1
if [ -n "${WHEELS:-}" ]; then
    site="$(mktemp -d)"
    python3 -m pip install --quiet --no-index --no-deps --no-compile --target "$site" "$WHEELS"/*.whl
    PYTHONPATH="$root:$site"
fi
settings="$(python3 - "$run" "$minutes" <<'PYTHON'
import json, pathlib, sys

run, minutes = pathlib.Path(sys.argv[1]), float(sys.argv[2])
file = run / "run.json"
facts = json.loads(file.read_text()) if file.is_file() else {}
print("--minutes", facts.get("minutes_done", 0) + minutes, sep="\n")
if (run / "checkpoints" / "state.npz").is_file():
    network, schedule = facts["network"], facts["schedule"]
    flags = {
        "labels": run / "labels.tsv",
        "recipe": run / "recipe.json",
        "shape": facts["shape"],
        "spacing": facts["spacing"][0] if len(set(facts["spacing"])) == 1 else None,
        "features": network.get("features"),
        "levels": network.get("levels"),
        "max-features": network.get("max_features"),
        "fine-features": network.get("fine_features"),
        "mixture-channels": network.get("mixture_channels"),
        "loss": facts["loss"],
        "batch-size": facts["batch_size"],
        "optimizer": schedule.get("optimizer"),
        "warm-up": facts["warm_up"],
        "average": schedule.get("average"),
        "precision": facts["precision"],
        "seed": facts["seed"],
    }
    for flag, value in flags.items():
        if value is not None:
            print(f"--{flag}", *(value if isinstance(value, list) else [value]), sep="\n")
    if not network.get("side_channel", True):
        print("--no-side-channel")
PYTHON
)"
mapfile -t settings <<<"$settings"
seconds() { python3 -c "print(int(60 * $1))"; }
status=0
timeout "$(($(seconds "$minutes") + 180))" python3 -m synthtf.cli.main train segmentation "$maps" \
    -o "$run" --resume --epochs 1000000 --steps-per-epoch "${STEPS:-200}" --learning-rate "${RATE:-0.004}" \
    --no-anneal --average 0.998 --precision mixed_bfloat16 --workers 8 "${settings[@]}" "$@" || status=$?
echo "Trained after $SECONDS s, exit status $status"
[ ! -f "$run/log.csv" ] || tail -n 3 "$run/log.csv"
pack() { # FLAGS of tar. A large window finds the average of the weights in the checkpoint again.
    rm -f "$OUT/$(basename "$run")".tar.xz.*
    tar "$@" -C "$run" -c . | xz -T1 --lzma2=preset=0,dict=64MiB |
        split -b 15000000 - "$OUT/$(basename "$run").tar.xz."
}
if [ -n "${OUT:-}" ] && [ -d "$run" ]; then
    mkdir -p "$OUT"
    pack --exclude '*.part*'
    size="$(cat "$OUT/$(basename "$run")".tar.xz.* | wc -c)"
    if [ -n "${OUT_MB:-}" ] && [ "$size" -gt "$((OUT_MB * 1000000))" ]; then
        echo "$((size / 1000000)) MB are more than $OUT_MB MB: packed without checkpoints" >&2
        pack --exclude ./checkpoints
    fi
fi
[ "$status" = 0 ] || exit "$status"
if [ -n "${BENCHMARK:-}" ]; then
    end=$((SECONDS + $(seconds "$BENCHMARK")))
    measure() { # FILE FLAGS: as long as there is time
        local left=$((end - SECONDS)) file="${OUT:-$run}/$1.json"
        shift
        [ "$left" -le 0 ] || timeout "$left" python3 "$root/scripts/benchmark.py" "$@" --json "$file" || true
    }
    measure synthesis --sizes 160 96 192 --batches 1 4
    measure training --training --sizes 160 --precision mixed_bfloat16
    measure synthesis_without_xla --sizes 160 --batches 1 --xla off --repeats 2
fi
