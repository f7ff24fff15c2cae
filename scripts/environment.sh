# Sourced by the scripts beside it: finds Python and makes the virtual environment.

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# Print the first Python from 3.11 to 3.13.
find_python() {
    local name
    for name in ${SYNTHTF_PYTHONS:-python3 python3.13 python3.12 python3.11 python}; do
        if command -v "$name" >/dev/null && is_supported "$name"; then
            command -v "$name"
            return
        fi
    done
    echo "Found no Python 3.11, 3.12 or 3.13. Install one, on Debian and Ubuntu:" >&2
    echo "  sudo apt-get install python3 python3-venv python3-pip" >&2
    return 1
}

# Make a virtual environment in a folder, unless it is there, and print its Python.
make_environment() {
    local folder="$1" python version
    if [ -x "$folder/bin/python" ] && ! is_supported "$folder/bin/python"; then
        echo "$folder does not hold a Python 3.11 to 3.13 that runs; delete it and try again" >&2
        return 1
    fi
    if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        python="$(find_python)" || return 1
        echo "Making a virtual environment in $folder with $("$python" --version)" >&2
        if ! "$python" -m venv --clear "$folder" >&2; then
            version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
            echo "$python cannot make virtual environments. On Debian and Ubuntu:" >&2
            echo "  sudo apt-get install python$version-venv" >&2
            return 1
        fi
    fi
    echo "$folder/bin/python"
}
