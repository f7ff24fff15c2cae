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
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
# One line that says what is being fetched; all of pip's words only if it fails.
show() {
    local word name rest
    while read -r word name rest; do
        case "$word" in
            Collecting) printf '\r    %-60.60s' "$name" ;;
            Installing) if [ "$name" = collected ]; then printf "\r    %-60.60s" "unpacking, half a minute"; fi ;;
        esac
    done
    printf '\r%64s\r' ""
}
if ! "$python" -m pip install --disable-pip-version-check "$root" 2>>"$log" | tee -a "$log" | show; then
    cat "$log" >&2
    echo "The installation failed; its messages are above. Is the internet in reach?" >&2
    exit 1
fi

rm -f "$log"
exec "$root/.venv/bin/synthtf" demo "$@"
