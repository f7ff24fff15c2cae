"""Import a file of scripts/, which is no package."""

import importlib.util
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    # Registered for dataclasses, which look up the module that they are defined in.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
