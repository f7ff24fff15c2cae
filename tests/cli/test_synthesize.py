import nibabel
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.phantoms import head_phantom
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.layers import AverageDown, RandomClearedSlices
from synthtf.synthesis import Recipe
from synthtf.training.workflow import load_table

# No step changes the place of anything.
STILL = Recipe.preset("tutorial").without("affine", "warp", "field_of_view", "resolution")


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
    STILL.save(tmp_path / "still.json")
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


def test_larger_voxels_lie_where_their_blocks_are(maps, still, tmp_path):
    Recipe([*STILL, AverageDown(2, labels="nearest")]).save(tmp_path / "larger.json")
    words = ["synthesize", str(maps / "h0.nii.gz"), "-n", "1", "--shape", "20", "24", "20"]
    for name in (still, str(tmp_path / "larger.json")):
        assert main([*words, "-o", f"{name}_out", "--recipe", name]) == 0
    fine, larger = (
        nibabel.load(f"{name}_out/h0_0000_labels.nii.gz")
        for name in (still, tmp_path / "larger.json")
    )
    assert larger.shape == (10, 12, 10) and larger.header.get_zooms() == (16.0, 16.0, 16.0)
    middle = np.linalg.inv(fine.affine) @ larger.affine[:, 3]
    np.testing.assert_allclose(middle[:3], 0.5, atol=1e-4)
    corner = np.asarray(fine.dataobj)[1::2, 1::2, 1::2]
    np.testing.assert_array_equal(np.asarray(larger.dataobj), corner)


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


def test_the_sheet_names_keys_and_steps(maps, tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr(
        "synthtf.figures.contact_sheet",
        lambda images, path, titles: shown.update(zip(titles, images, strict=True)),
    )
    some = STILL.without("bias", "blur", "gamma").change("noise", probability=0.5)
    Recipe([*some, RandomClearedSlices()]).save(tmp_path / "some.json")
    words = ["synthesize", str(maps / "h0.nii.gz"), "-n", "4", "--seed", "5"]
    assert main([*words, "-o", str(tmp_path), "--recipe", str(tmp_path / "some.json")]) == 0
    lines = [title.split("\n") for title in shown]
    assert [line[0] for line in lines] == [f"h0_000{k}  key 5, {k}" for k in range(4)]
    # The noise is that of the images: without it, a map of few labels has few grey values.
    noisy = [np.unique(image).size > 500 for image in shown.values()]
    assert [line[1:] for line in lines] == [["noise"] if n else [] for n in noisy]
    assert 0 < sum(noisy) < 4


def test_a_replay_is_the_sample_of_the_training(maps, tmp_path):
    """Sizes of 24 and 28 are enlarged to 32, as the default network takes them."""
    from synthtf.tasks import SegmentationTask
    from synthtf.training.plan import TrainingPlan
    from synthtf.training.workflow import make_maps, model_shape

    out = tmp_path / "out"
    words = ["synthesize", str(maps), "-o", str(out), "--recipe", "heads", "--labels"]
    table = tmp_path / "labels.tsv"
    table.write_text("id\tname\n" + "".join(f"{i}\tstructure {i}\n" for i in range(600)))
    with pytest.warns(UserWarning, match="never occur"):
        plan = TrainingPlan(SegmentationTask(), labels=table, recipe="heads", seed=7, batch_size=2)
        data = make_maps(str(maps), load_table(table), plan)
    shape = model_shape(data, plan)
    assert shape == (32, 32, 32)
    model = SegmentationTask().build(
        shape, load_table(table).select(data.labels), data.spacing, Recipe.preset("heads")
    )
    data.epoch = 1
    batch = data[0][0]
    seed, number = batch["key"][1].tolist()
    assert main([*words, str(table), "--replay", str(seed), str(number)]) == 0
    (path,) = out.glob("*_image.nii.gz")
    assert path.name == f"{data.names[data.map_index(number)]}_{number:04d}_image.nii.gz"
    expected = model.synthesis.predict_on_batch(batch)
    for name in ("image", "labels"):
        found = nibabel.load(str(path).replace("_image", f"_{name}"))
        np.testing.assert_array_equal(np.asarray(found.dataobj), expected[name][1, ..., 0])


def test_a_range_is_swept_with_all_else_as_it_was(maps, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        "synthtf.figures.contact_sheet",
        lambda images, path, titles, columns: drawn.update(locals()) or path,
    )
    rough = STILL.change("noise", std=(0, 0.5), probability=0).change("gamma", probability=0.5)
    rough.save(tmp_path / "rough.json")
    words = ["synthesize", str(maps), "-o", str(tmp_path), "--recipe", str(tmp_path / "rough.json")]
    assert main([*words, "--vary", "noise.std", "-n", "2"]) == 0
    assert drawn["columns"] == 6 and drawn["path"] == tmp_path / "vary_noise.std.png"
    assert drawn["titles"][7] == "noise.std 0.1\nkey 0, 1"
    rows = np.array(drawn["images"]).reshape(2, 6, -1)
    # The same noise, ever stronger: farther from the image without.
    distance = np.abs(rows - rows[:, :1]).mean(-1)
    assert (np.diff(distance) > 0).all() and not distance[:, 0].any()
    assert not list(tmp_path.glob("*_image.nii.gz"))


def test_a_replay_can_be_swept(maps, tmp_path, monkeypatch, capsys):
    swept = []
    monkeypatch.setattr(
        "synthtf.training.sweep.sweep",
        lambda maps, plan, name, folder, numbers: (
            swept.append((maps.seed, list(numbers), plan.shape)) or folder
        ),
    )
    words = ["synthesize", str(maps), "-o", str(tmp_path), "--vary", "bias.drop"]
    assert main([*words, "--replay", "5", "9"]) == 0
    assert swept == [(5, [9], (32, 32, 32))]
    assert capsys.readouterr().out == f"look at {tmp_path}\n"


@pytest.mark.parametrize(
    "words, message",
    [
        (["maps", "--vary", "bias"], "expected the name of a range"),
        (["maps", "--vary", "noise.probability"], "Received: noise.probability"),
        (["maps", "--vary", "bias.drop", "--extremes"], "Received: bias.drop"),
        (["gone"], "gone does not exist"),
        (["maps", "--recipe", "gone.json"], "gone.json: neither a file nor one of the recipes"),
        (["maps", "--labels", "gone.tsv"], "gone.tsv does not exist"),
        (["maps", "-o", "maps/h0.nii.gz"], "must be a folder"),
    ],
)
def test_wrong_usage(maps, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["synthesize", "-o", "out", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", [["-1", "0"], ["0", "2147483648"], ["0", "x"]])
def test_a_key_is_two_whole_numbers(maps, capsys, key):
    with pytest.raises(SystemExit) as stop:
        main(["synthesize", str(maps), "-o", "out", "--replay", *key])
    assert stop.value.code == 2
    assert "expected an integer in [0, 2^31)" in capsys.readouterr().err


def test_targets_of_the_recipe_are_written_beside_the_images(maps, tmp_path):
    words = ["--recipe", "super-resolution", "-n", "2", "--shape", "16", "16", "16"]
    assert main(["synthesize", str(maps), "-o", str(tmp_path / "out"), *words]) == 0
    for image in sorted((tmp_path / "out").glob("*_image.nii.gz")):
        target = read_volume(str(image).replace("_image", "_clean"))
        np.testing.assert_array_equal(target.affine, read_volume(image).affine)
        assert target.data.shape == (16, 16, 16) and 0 <= target.data.min() < target.data.max() <= 1
