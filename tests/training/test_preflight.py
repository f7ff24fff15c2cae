"""Each fault of a data set is provoked once, alone in an otherwise good one."""

import csv

import nibabel
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.map_sources import MapSource
from synthtf.data.map_survey import survey_map
from synthtf.data.preflight import Finding, survey_maps
from synthtf.data.volume_writer import write_volume
from synthtf.networks import DetectorConfig, RegistrationConfig, UNetConfig, affine_detector, unet
from synthtf.runs import Run
from synthtf.tasks import RegistrationTask, SegmentationTask, StrippingTask
from synthtf.training.memory import training_bytes
from synthtf.training.plan import TrainingPlan
from synthtf.training.preflight import check_training, preflight

TABLE = """id\tname\tside\tpartner\toutput\ttissue\tbrain
0\tbackground\tnone\t-\t0\tbackground\tno
2\tleft matter\tleft\t41\t2\tmatter\tyes
41\tright matter\tright\t2\t41\tmatter\tyes
9\tskin\tnone\t-\t0\tskin\tno
"""
RAS = np.diag([2.0, 2.0, 2.0, 1.0])


def head(shift=0):
    """Skin around a brain of 12 x 20 x 10 voxels in the middle of 32³, left half label 2."""
    labels = np.zeros((32, 32, 32), "int16")
    labels[6:26, 3:29, 7:25] = 9
    labels[10:16, 6:26, 11 + shift : 21 + shift] = 2
    labels[16:22, 6:26, 11 + shift : 21 + shift] = 41
    return labels


@pytest.fixture
def good(tmp_path):
    """Folder of four good maps, and their table."""
    for i in range(4):
        write_volume(tmp_path / f"m{i}.nii.gz", head(i), affine=RAS)
    (tmp_path / "labels.tsv").write_text(TABLE)
    return tmp_path


def look(folder, table="labels.tsv", **plan):
    table = folder / table if table else None
    plan = {"task": SegmentationTask(UNetConfig(4, 3)), **plan}
    return preflight(sorted(folder.glob("*.nii.gz")), TrainingPlan(labels=table, **plan))


def kinds(found, *severities):
    return {f.kind: f for f in found.findings if f.severity in severities}


def test_a_good_data_set_has_neither_errors_nor_warnings(good):
    found = look(good)
    assert not kinds(found, "error", "warning") and not found.has_errors
    assert set(kinds(found, "note")) == {"crop", "memory"}
    # 12 x 20 x 10 voxels of 2 mm; three levels take multiples of 4.
    crop = kinds(found, "note")["crop"].message
    assert "--shape 12 20 12 at 2 x 2 x 2 mm holds the brain of every map" in crop
    assert "24 x 40 x 20 mm" in crop and "whole maps are 32 x 32 x 32" in crop


def _swap_sides(folder):
    write_volume(folder / "m1.nii.gz", head()[::-1], affine=RAS)


def _mirror_header(folder):
    write_volume(folder / "m1.nii.gz", head(), affine=np.diag([-2.0, 2.0, 2.0, 1.0]))


def _relabel(old, new, *names):
    def damage(folder):
        for name in names:
            labels = head(int(name[1]))
            labels[np.isin(labels, old)] = new
            write_volume(folder / f"{name}.nii.gz", labels, affine=RAS)

    return damage


def _without_orientation(folder):
    image = nibabel.Nifti1Image(head(9), None)
    image.header.set_zooms((2, 2, 2))
    image.header["sform_code"] = image.header["qform_code"] = 0
    nibabel.save(image, folder / "m1.nii.gz")


def _table(old, new):
    def damage(folder):
        (folder / "labels.tsv").write_text(TABLE.replace(old, new))

    return damage


FAULTS = {
    "unreadable": (
        "error",
        lambda folder: (folder / "m1.nii.gz").write_bytes((folder / "m1.nii.gz").read_bytes()[:99]),
        "m1.nii.gz",
    ),
    "unlisted": ("error", _relabel(9, 77, "m2"), "m2.nii.gz: 77 (6,960 voxels)"),
    "unused": ("warning", _table("9\tskin", "8\tbone\tnone\t-\t0\tskin\tno\n9\tskin"), "8 (bone)"),
    "rare": ("warning", _relabel(9, 0, "m0", "m1", "m2"), "label 9: in 1 of 4 maps"),
    "missing": ("note", _relabel(9, 0, "m0"), "label 9: in 3 of 4 maps"),
    "one-sided": (
        "warning",
        _relabel(41, 9, "m3"),
        "2 (left matter) without 41 (right matter): m3",
    ),
    "unpaired": ("warning", _table("9\tskin\tnone", "9\tskin\tleft"), "9 (skin)"),
    "flip": ("error", _table("9\tskin\tnone", "9\tskin\tleft"), None),
    "sides": ("error", _swap_sides, "m1.nii.gz: left labels 12 mm right of right ones"),
    "orientation": ("note", _mirror_header, "LAS: m1.nii.gz"),
    "spacing": (
        "warning",
        lambda folder: write_volume(folder / "m1.nii.gz", head(), affine=RAS * [3, 3, 3, 1]),
        "6 x 6 x 6 mm: m1.nii.gz",
    ),
    "shape": (
        "note",
        lambda folder: write_volume(folder / "m1.nii.gz", head()[2:], affine=RAS),
        "30 x 32 x 32 voxels: m1.nii.gz",
    ),
    "dimensions": (
        "error",
        lambda folder: write_volume(folder / "m1.nii.gz", head()[..., 15], affine=RAS),
        "2D: m1.nii.gz",
    ),
    "header": ("warning", _without_orientation, "sets no orientation"),
    "cut": (
        "warning",
        lambda folder: write_volume(folder / "m1.nii.gz", head()[..., 15:], affine=RAS),
        "m1.nii.gz: 240 voxels at the bottom",
    ),
    "empty": ("warning", _relabel((2, 9, 41), 0, "m1"), "m1.nii.gz"),
    "duplicate": (
        "warning",
        lambda folder: write_volume(folder / "n.nii.gz", head(2), affine=RAS),
        "m2.nii.gz = n.nii.gz",
    ),
    "no brain": ("warning", _relabel((2, 41), 9, "m1"), "m1.nii.gz"),
    "brain": ("error", _table("\tyes", "\tno"), None),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_found(good, kind):
    severity, damage, detail = FAULTS[kind]
    damage(good)
    found = look(good)
    assert kind in kinds(found, severity), found.report()
    details = kinds(found, severity)[kind].details
    assert detail is None or any(detail in line for line in details), details
    assert found.has_errors == bool(kinds(found, "error"))


def test_mirrored_headers_swap_the_sides(good):
    """The same voxels with the x axis turned round: left labels are then on the right."""
    _mirror_header(good)
    assert "sides" in kinds(look(good), "error")


def test_the_shape_is_checked(good):
    assert (
        "no multiple of the 4 voxels that the network needs"
        in kinds(look(good, shape=(16, 22, 16)), "error")["shape"].message
    )
    assert (
        "does not fit maps of 3 axes" in kinds(look(good, shape=(16, 24)), "error")["shape"].message
    )
    cropped = kinds(look(good, shape=(16, 16, 16)), "warning")["cropped"]
    assert "16 x 16 x 16 voxels at 2 x 2 x 2 mm cut the brain of 4 maps" in cropped.message
    assert not kinds(look(good, shape=(12, 20, 12)), "error", "warning")
    finer = kinds(look(good, spacing=1.0), "note")["crop"].message
    assert "--shape 24 40 20 at 1 x 1 x 1 mm" in finer and "64 x 64 x 64 voxels" in finer
    FAULTS["no brain"][1](good)
    assert "no brain" in kinds(look(good, shape=(12, 20, 12)), "error")


def test_what_a_table_would_tell(good):
    found = look(good, table=None)
    assert set(kinds(found, "warning")) == {"flip", "brain"}
    assert "each of the 3 labels" in kinds(found, "note")["table"].message
    assert not kinds(look(good, table=None, recipe="tutorial"), "error", "warning")


def test_a_table_without_pairs_is_said_where_maps_are_flipped(good):
    (good / "none.tsv").write_text("id\tname\n2\tone matter\n41\tother matter\n9\tskin\n")
    found = kinds(look(good, table="none.tsv"), "warning")["flip"].message
    assert "has no left-right pairs: labels are not swapped" in found
    assert "flip" not in kinds(look(good, table="none.tsv", recipe="tutorial"), "warning")
    (good / "quoted.tsv").write_text(
        'id\tname\n2\t"Left matter, a"\n41\t"Right matter, a"\n9\t"skin, all"\n'
    )
    assert "flip" not in kinds(look(good, table="quoted.tsv"), "warning", "error")


def test_the_table_of_the_labels_replaces_no_other(good):
    other = good / "participants.csv"
    other.write_text("name,age\nx,5\n")
    plan = TrainingPlan(task=SegmentationTask())
    with pytest.raises(ValueError, match=r"participants\.csv exists and is another table"):
        check_training(sorted(good.glob("*.nii.gz")), plan, table=other)
    assert other.read_text() == "name,age\nx,5\n"


def test_a_survey_counts_in_space(tmp_path):
    """In LIA, axes are reversed and permuted: what is counted must be that in RAS."""
    rng = np.random.default_rng(0)
    ras = rng.integers(0, 3, (5, 6, 7)) * 70000  # too large for a table of all values
    affine = np.array([[-1, 0, 0, 0], [0, 0, 2, 0], [0, -3, 0, 0], [0, 0, 0, 1.0]])
    stored = ras[::-1, :, ::-1].transpose(0, 2, 1).astype("int32")
    write_volume(tmp_path / "a.nii.gz", stored, affine=affine)
    survey = survey_map(MapSource("a", tmp_path / "a.nii.gz"))
    assert (survey.stored, survey.axes) == ("LIA", "RAS")
    assert survey.labels == (0, 70000, 140000) and survey.spacing == pytest.approx((1, 2, 3))
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        expected = np.stack([(ras == v).sum(others) for v in survey.labels])
        np.testing.assert_array_equal(survey.profiles[axis], expected)
    centre = np.argwhere(ras == 70000).mean(0) * (1, 2, 3)
    assert [survey.position([70000], a) for a in range(3)] == pytest.approx(centre.tolist())
    other = survey_map(MapSource("b", array=ras.transpose(0, 2, 1).astype("int32")))
    assert other.digest != survey.digest


def test_an_image_is_no_label_map(tmp_path):
    image = np.arange(20**3, dtype="int32").reshape(20, 20, 20)
    write_volume(tmp_path / "scan.nii.gz", image, affine=RAS)
    surveys, (finding,) = survey_maps([tmp_path / "scan.nii.gz"])
    assert not surveys and "8,000 different values; is this an image?" in finding.details[0]


def test_memory_of_a_convolution_counted_by_hand():
    """One level of one convolution, then the logits and their softmax; no normalisation."""
    network = UNetConfig(3, 1, convolutions=1, normalization=None)
    voxels, weights = 4 * 6 * 8, (27 * 3 + 3) + (3 * 5 + 5)
    for batch_size in (1, 2):
        kept = 0.8 * batch_size * voxels * (1 + 3 + 5 + 5) + 4 * weights
        found = training_bytes(unet(5, 3, network), (4, 6, 8), batch_size)
        assert found == (int(4 * kept), int(4 * kept + 4 * 27 * voxels))


def test_memory_grows_with_voxels():
    network = unet(4, 3, UNetConfig(4, 3))
    small = training_bytes(network, (16, 16, 16))
    large = training_bytes(network, (32, 32, 32))
    assert large[1] > 4 * small[1] and large[1] > large[0]


def test_memory_of_a_detector_counts_what_is_within_it_for_both_images():
    """One convolution, its logits and their rectifier, of two images."""
    backbone = UNetConfig(3, 1, convolutions=1, normalization=None)
    network = affine_detector(3, "affine", DetectorConfig(4, backbone, halve=False))
    least, needed = training_bytes(network, (8, 8, 8))
    # Two inputs, and for both: the batch, 3 features, 4 logits, their rectifier and the maps.
    kept = 8**3 * (2 + 2 * (1 + 3 + 4 + 4 + 4))
    weights = (27 * 3 + 3) + (3 * 4 + 4)
    assert least == pytest.approx(4 * (0.8 * kept + 4 * weights), rel=0.01)
    assert needed - least == 4 * 27 * 8**3
    more = training_bytes(network, (8, 8, 8), channels=6)[0]
    assert more - least == pytest.approx(4 * 0.8 * 6 * 8**3, abs=1)


DETECTOR = DetectorConfig(4, UNetConfig(2, 3, mixture_channels=1), halve=False)
TASKS = {
    "stripping": StrippingTask(UNetConfig(4, 3)),
    "affine": RegistrationTask("affine", network=DETECTOR),
    "rigid": RegistrationTask("rigid", network=DETECTOR),
    "deformable": RegistrationTask(
        "deformable", network=RegistrationConfig((4,), (4, 4), detector=DETECTOR)
    ),
    "images alone": RegistrationTask("deformable", network=RegistrationConfig((4, 4), (4, 4))),
}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_looked_at(good, name):
    found = look(good, task=TASKS[name])
    assert set(kinds(found, "note")) == {"crop", "memory"} and not found.has_errors
    assert "2 features" in kinds(found, "note")["memory"].message or (
        "4 features" in kinds(found, "note")["memory"].message
    )
    assert "--shape 12 20 12" in kinds(found, "note")["crop"].message


def test_a_joint_registration_needs_an_affine_network(good, monkeypatch):
    network = RegistrationConfig((4,), (4, 4), hyper_units=2, detector=DETECTOR)
    found = look(good, task=RegistrationTask("joint", network=network))
    assert "`affine` must be a trained run" in kinds(found, "error")["network"].message
    affine = affine_detector(3, "affine", DETECTOR)
    run = Run(None, None, None, {}, affine)
    monkeypatch.setattr("synthtf.runs.run.Run.load", lambda folder: run)
    found = look(good, task=RegistrationTask("joint", network=network, affine="affine"))
    assert "memory" in kinds(found, "note") and not found.has_errors


def test_stripping_needs_a_table_of_the_brain(good):
    FAULTS["brain"][1](good)
    plan = {"task": TASKS["stripping"], "recipe": "tutorial"}
    message = "the task stripping learns the brain, but the table says of no label"
    assert message in kinds(look(good, **plan), "error")["brain"].message
    assert "brain" in kinds(look(good, None, **plan), "warning")


def test_severities_are_checked():
    with pytest.raises(ValueError, match="fatal"):
        Finding("fatal", "x", "y")


def test_the_command(good, capsys):
    words = ["check", str(good), "--levels", "3", "--features", "4"]
    words += ["--labels", str(good / "labels.tsv")]
    assert main([*words, "--verbose", "--csv", str(good / "labels.csv")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("4 label maps: 0 errors, 0 warnings, 2 notes\n")
    assert "left matter" in text
    assert "not for\n  - borders that no contrast shows" in text and "age, sex or a" in text
    assert "\nadvised\n  - label what surrounds the brain" in text
    with open(good / "labels.csv", newline="") as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    assert rows["41"]["maps"] == "4"
    assert float(rows["41"]["median"]) == pytest.approx(6 * 20 * 10 * 8 / 1000)

    _relabel(9, 77, "m2")(good)
    assert main(words) == 1
    assert "unlisted: 1 map with values" in capsys.readouterr().out
    (good / "m0.nii.gz").write_bytes(b"")
    assert main(words) == 1
    assert "unreadable: 1 map cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["stripping", "--levels", "3"],
        ["registration"],
        ["registration", "--kind", "rigid", "--features", "4"],
    ],
)
def test_the_command_takes_a_task(good, capsys, words):
    table = ["--labels", str(good / "labels.tsv")]
    assert main(["check", str(good), *table, "--task", *words]) == 0
    text = capsys.readouterr().out
    assert "0 errors" in text and "memory" in text


@pytest.mark.parametrize(
    "words, message",
    [
        (["gone"], "gone does not exist"),
        (["m0.nii.gz", "--labels", "gone.tsv"], "gone.tsv does not exist"),
        (["m0.nii.gz", "--recipe", "gone"], "gone: neither a file nor one of the recipes"),
        (["m0.nii.gz", "--spacing", "0"], "`spacing` must be positive"),
        (["m0.nii.gz", "--csv", "gone/x.csv"], "--csv: no such folder: gone"),
    ],
)
def test_wrong_usage(good, monkeypatch, capsys, words, message):
    monkeypatch.chdir(good)
    assert main(["check", *words]) == 2
    assert message in capsys.readouterr().err
