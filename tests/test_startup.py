import os
import subprocess
import sys

import pytest


def run_python(code, **environment):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TF_", "OMP_"))
    } | environment
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )


def test_the_backend_loads_in_silence_with_the_threads_asked_for():
    code = """
from synthtf.startup import limit_threads, load_backend
limit_threads(1)
load_backend()
import sys, os
print("keras" in sys.modules, os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["OMP_NUM_THREADS"])
print("shown", file=sys.stderr)
os.write(2, b"shown as well")
"""
    answer = run_python(code)
    assert answer.stdout.split() == ["True", "1", "1"]
    assert answer.stderr == "shown\nshown as well"


def test_what_a_failing_import_says_is_shown(tmp_path):
    (tmp_path / "keras.py").write_text(
        "import os\nos.write(2, b'library not found')\nraise ImportError('no keras')\n"
    )
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from synthtf.startup import load_backend
load_backend()
"""
    answer = run_python(code)
    assert answer.returncode == 1
    assert "library not found" in answer.stderr
    assert "ImportError: no keras" in answer.stderr


@pytest.mark.parametrize("level", ["0", "1"])
def test_the_log_level_of_the_user_stays(level):
    code = """
import os, sys, types
sys.modules["keras"] = types.ModuleType("keras")
from synthtf.startup import load_backend
load_backend()
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""
    assert run_python(code, TF_CPP_MIN_LOG_LEVEL=level).stdout.strip() == level
    assert run_python(code).stdout.strip() == "3"


def test_the_backend_loads_without_a_folder_for_temporary_files():
    code = """
import sys, tempfile, types
sys.modules["keras"] = types.ModuleType("keras")
tempfile.tempdir = "/nowhere"
from synthtf.startup import load_backend
load_backend()
"""
    answer = run_python(code)
    assert answer.returncode == 0 and not answer.stderr
