import nibabel
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.phantoms import head_phantom
from synthtf.data.volume_writer import write_volume
from synthtf.synthesis.config import SynthesisConfig

# No step changes the place of anything.
STILL = {
    "affine": {"translation": 0, "rotation": 0, "scaling": 1, "shear": 0},
    "warp": {"strength": 0},
    "field_of_view": {"probability": 0},
    "resolution": {"probability": 0},
}


@pytest.fixture
def maps(tmp_path):
    """A folder of two oblique-free 3D maps in LIA orientation, far from the origin."""
    affine = np.array([[-8, 0, 0, 60], [0, 0, 8, -80], [0, -8, 0, 90], [0, 0, 0, 1.0]])
    for seed in (0, 1):
        labels = head_phantom(seed, (24, 28, 24), 8.0)
        stored = labels[::-1, :, ::-1].transpose(0, 2, 1)
        write_volume(tmp_path / "maps" / f"h{seed}.nii.gz", stored, affine=affine)
    return tmp_path / "maps"


@pytest.fixture
def still(tmp_path):
    SynthesisConfig.from_dict(STILL).save(tmp_path / "still.json")
    return str(tmp_path / "still.json")


def test_samples_overlay_their_label_map(maps, still, tmp_path):
    out = tmp_path / "out"
    assert main(["synthesize", str(maps), "-o", str(out), "-n", "2", "--recipe", still]) == 0
    assert (out / "sheet.png").stat().st_size > 1000
    found = sorted(out.glob("*_labels.nii.gz"))
    assert {p.name for p in found} in (
        {"h0_0000_labels.nii.gz", "h1_0001_labels.nii.gz"},
        {"h1_0000_labels.nii.gz", "h0_0001_labels.nii.gz"},
    )
    for path in found:
        labels = nibabel.load(path)
        image = nibabel.load(str(path).replace("_labels", "_image"))
        source = nibabel.load(maps / f"{path.name[:2]}.nii.gz")
        assert nibabel.aff2axcodes(labels.affine) == ("R", "A", "S")
        np.testing.assert_array_equal(image.affine, labels.affine)
        assert np.ptp(np.asarray(image.dataobj)) == pytest.approx(1, abs=1e-6)
        # Every voxel of the sample, looked up in the map at the same place in the world.
        grid = np.indices(labels.shape).reshape(3, -1)
        world = labels.affine[:3, :3] @ grid + labels.affine[:3, 3:]
        inverse = np.linalg.inv(source.affine)
        there = np.rint(inverse[:3, :3] @ world + inverse[:3, 3:]).astype(int)
        np.testing.assert_array_equal(
            np.asarray(labels.dataobj).ravel(), np.asarray(source.dataobj)[tuple(there)]
        )


def test_a_smaller_shape_keeps_its_place(maps, still, tmp_path):
    words = ["synthesize", str(maps / "h0.nii.gz"), "-n", "1", "--recipe", still]
    assert main([*words, "-o", str(tmp_path / "whole")]) == 0
    assert main([*words, "-o", str(tmp_path / "crop"), "--shape", "16", "18", "16"]) == 0
    whole, crop = (
        nibabel.load(tmp_path / name / "h0_0000_labels.nii.gz") for name in ("whole", "crop")
    )
    start = np.linalg.inv(whole.affine) @ crop.affine[:, 3]
    a, b, c = np.rint(start[:3]).astype(int)
    np.testing.assert_allclose(start[:3], [a, b, c], atol=1e-4)
    expected = np.asarray(whole.dataobj)[a : a + 16, b : b + 18, c : c + 16]
    np.testing.assert_array_equal(np.asarray(crop.dataobj), expected)


def test_a_bad_map_is_named_and_the_others_are_used(maps, still, tmp_path, capsys):
    (maps / "bad.nii.gz").write_bytes(b"no volume")
    out = tmp_path / "out"
    assert main(["synthesize", str(maps), "-o", str(out), "-n", "2", "--recipe", still]) == 1
    assert f"synthtf synthesize: {maps / 'bad.nii.gz'}: " in capsys.readouterr().err
    assert len(list(out.glob("*_image.nii.gz"))) == 2


@pytest.mark.parametrize(
    "words, message",
    [
        (["gone"], "gone does not exist"),
        (["maps", "--recipe", "gone.json"], "gone.json: neither a file nor one of the recipes"),
        (["maps", "--labels", "gone.tsv"], "gone.tsv does not exist"),
        (["maps", "-o", "maps/h0.nii.gz"], "--output: expected a folder, received a file"),
    ],
)
def test_wrong_usage(maps, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["synthesize", "-o", "out", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
