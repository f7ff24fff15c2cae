# Sourced by the scripts beside it: finds Python and makes the virtual environment.

# Print the first Python from 3.10 to 3.13.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c \
            'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "synthtf needs Python 3.10, 3.11, 3.12 or 3.13; none was found on the PATH" >&2
    return 1
}

# Make a virtual environment, unless it is there, and print its Python.
make_environment() {
    local folder="$1" base
    if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        base="$(find_python)"
        if ! "$base" -m venv --clear "$folder" >&2; then
            echo "$base cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
            return 1
        fi
    fi
    echo "$PWD/$folder/bin/python"
}
