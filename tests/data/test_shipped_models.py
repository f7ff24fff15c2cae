"""Models that come with the package are found, and are whole."""

import hashlib
import shutil
from pathlib import Path

import pytest

from synthtf.data import shipped_models as shipped
from synthtf.runs.run import MODEL, Run

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.mark.parametrize("name", sorted(shipped.shipped_models()))
def test_files_are_those_of_the_checksums(name):
    folder = shipped.find_model(name)
    shipped.check_files(folder)
    listed = {line.split()[1] for line in (folder / shipped.CHECKSUMS).read_text().splitlines()}
    assert listed == {"labels.tsv", "model.keras", "recipe.json", "run.json"}
    assert (folder / MODEL).stat().st_size < 10e6
    assert Run.load(name).folder == folder


def test_every_folder_is_a_model_or_a_recipe_and_has_a_card():
    folders = {path.name for path in MODELS.iterdir() if path.is_dir()}
    models, recipes = set(shipped.shipped_models()), set(shipped.shipped_recipes())
    assert folders == models | recipes and models >= set(shipped.default_models().values())
    assert all((MODELS / name / "README.md").is_file() for name in folders)


def test_purposes_have_models_of_their_task():
    for purpose in shipped.default_models():
        run = Run.load(shipped.default_model(purpose))
        assert purpose in (run.task, run.metadata.get("kind"))


@pytest.mark.parametrize("name", ["model.keras", "labels.tsv"])
def test_refuses_what_was_changed(tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(shipped.default_model("segmentation"), folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"{name}: checksum mismatch with SHA256SUMS"):
        Run.load(folder)
    (folder / name).unlink()
    with pytest.raises(ValueError, match=name):
        shipped.check_files(folder)


def test_sums_are_those_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / shipped.CHECKSUMS).write_text(f"{hashlib.sha256(b'x').hexdigest()} *a\n")
    shipped.check_files(tmp_path)
    (tmp_path / shipped.CHECKSUMS).unlink()
    shipped.check_files(tmp_path)


def test_unknown_models_are_named():
    with pytest.raises(FileNotFoundError, match="nothing-9mm is neither a folder nor a model"):
        shipped.find_model("nothing-9mm")
    with pytest.raises(FileNotFoundError, match="no model for tractography"):
        shipped.default_model("tractography")


def test_a_model_is_a_folder_a_name_or_the_default(tmp_path):
    assert shipped.model_folder(tmp_path, "affine") == tmp_path
    assert shipped.model_folder("affine-2mm", "") == shipped.default_model("affine")
    assert shipped.model_folder(None, "affine") == shipped.default_model("affine")
    with pytest.raises(ValueError, match=r"--model: .*absent is neither a folder"):
        shipped.model_folder(tmp_path / "absent", "affine")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="--affine must be a folder"):
        shipped.model_folder(tmp_path / "file", "affine", "--affine")


def test_the_kind_of_a_registration_is_read_without_loading_it(tmp_path):
    assert shipped.model_kind(shipped.default_model("deformable")) == "deformable"
    assert shipped.model_kind(shipped.default_model("stripping")) is None
    assert shipped.model_kind(tmp_path) is None
    (tmp_path / "run.json").write_text("[]")
    assert shipped.model_kind(tmp_path) is None
