import shutil
import subprocess

import pytest
from training_process import write_maps


def _empty_sheet(synthesis, maps, path, maps_per_sample):
    path.write_bytes(b"")


@pytest.fixture(scope="module")
def quick_training():
    """Trainings of few steps, which are not worth a graph each, nor a figure of their samples."""
    from synthtf.training.combined import CombinedModel

    compile_ = CombinedModel.compile

    def eagerly(self, *args, **kwargs):
        compile_(self, *args, **kwargs)
        self.run_eagerly = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CombinedModel, "compile", eagerly)
        patch.setattr("synthtf.training.loop.sample_sheet", _empty_sheet)
        patch.setattr("synthtf.training.loop.draw_curve", lambda folder: None)
        yield


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Label maps of slices, their table and a recipe, for `training_process`."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_maps(folder)
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """A file system of four megabytes, and what fills it but for so many bytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount") or pytest.skip("there is no command mount")
    options = ["-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    done = subprocess.run([mount, *options], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted: {done.stderr.strip()}")

    def leave(room):
        (disk / "filler").unlink(missing_ok=True)
        (disk / "filler").write_bytes(bytes(max(0, shutil.disk_usage(disk).free - room)))

    yield disk, leave
    subprocess.run(["umount", str(disk)], check=True)
