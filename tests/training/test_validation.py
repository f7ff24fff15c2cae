"""Real scans are validated on as a user would use the network on them."""

import csv
import json

import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data import LabelMaps, LabelTable
from synthtf.data.scan_truths import LabelledScan
from synthtf.data.volume_writer import write_volume
from synthtf.inference.scan_dice import scan_dice
from synthtf.layers import RandomIntensity
from synthtf.networks import UNetConfig
from synthtf.runs import Run
from synthtf.synthesis import Recipe
from synthtf.tasks import skull_stripping
from synthtf.training import ScanValidation, Schedule
from synthtf.training.checkpoint import BEST, Checkpoint
from synthtf.training.scores import best_epoch
from synthtf.training.validation import check_validation

pytestmark = [
    pytest.mark.usefixtures("quick_training"),
    pytest.mark.filterwarnings("ignore:.*(nothing was found|no brain|cannot be a brain)"),
]

SIDE = 16
TABLE = "id\tname\tbrain\n0\tair\tno\n2\twhite\tyes\n3\tgrey\tyes\n5\tbone\tno\n"


def anatomy(shift=0):
    labels = np.zeros((SIDE,) * 3, "int32")
    labels[1:15, 1:15, 1:15] = 5
    labels[3 + shift : 12 + shift, 3:12, 3:13] = 3
    labels[5:9, 5:9, 5:10] = 2
    return labels


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A label map, its table, and a table of scans of three domains, one with a mask alone."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "labels.tsv").write_text(TABLE)
    rows = ["image,labels,mask,domain"]
    for number, (domain, means) in enumerate(
        {"T1": (0, 9, 6, 1), "T2": (0, 4, 6, 1), "CT": (0, 4, 5, 9)}.items()
    ):
        labels = anatomy(number)
        image = np.zeros(labels.shape, "float32")
        for value, mean in zip((0, 2, 3, 5), means, strict=True):
            image[labels == value] = mean
        noise = np.random.default_rng(number).normal(0, 0.1, image.shape)
        masked = domain == "CT"
        truth = np.isin(labels, (2, 3)).astype("int32") if masked else labels
        for name, array in (("scan", image + noise), ("truth", truth)):
            array = array.astype("float32" if name == "scan" else "int32")
            write_volume(folder / f"{name}_{domain}.nii.gz", array, affine=np.diag([2, 2, 2, 1]))
        cells = ("", f"truth_{domain}.nii.gz") if masked else (f"truth_{domain}.nii.gz", "")
        rows.append(",".join((f"scan_{domain}.nii.gz", *cells, domain)))
    (folder / "scans.csv").write_text("\n".join(rows) + "\n")
    write_volume(folder / "map.nii.gz", anatomy(), affine=np.diag([2, 2, 2, 1]))
    return folder


SIZES = ["--features", "2", "--levels", "2", "--steps-per-epoch", "1", "--shape", "16", "16", "16"]
SIZES += ["--check-every", "0", "--learning-rate", "0.02"]


def train(data, folder, *more, task="segmentation"):
    (data / "recipe.json").write_text('[{"layer": "RandomIntensity"}]')
    options = ["--labels", str(data / "labels.tsv"), "--recipe", str(data / "recipe.json"), *SIZES]
    return main(["train", task, str(data / "map.nii.gz"), "-o", str(folder), *options, *more])


def table(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory, quick_training):
    """Three epochs, validated after the second and the last, in two parts."""
    folder = tmp_path_factory.mktemp("run") / "run"
    options = ["--validate", str(data / "scans.csv"), "--validate-every", "2", "--no-anneal"]
    assert train(data, folder, "--epochs", "2", *options) == 0
    assert train(data, folder, "--epochs", "3", "--resume", *options) == 0
    return folder


def test_dice_of_each_domain_and_structure_is_logged(run):
    log = table(run / "log.csv")
    assert [bool(row["val_dice"]) for row in log] == [False, True, True]
    rows = table(run / "validation.csv")
    assert {row["epoch"] for row in rows} == {"1", "2"}
    for epoch in ("1", "2"):
        scores = {}
        for row in rows:
            if row["epoch"] == epoch:
                scores.setdefault(row["domain"], []).append(float(row["dice"]))
        assert set(scores) == {"T1", "T2", "CT"} and len(scores["T1"]) >= 3
        for domain, found in scores.items():
            assert float(log[int(epoch)][f"val_dice_{domain}"]) == pytest.approx(np.mean(found))
    names = {row["name"] for row in rows if row["domain"] == "CT"}
    assert names == {"brain"}, "a mask is compared with the brain"


def test_dice_is_that_of_segment_and_evaluate(run, data, tmp_path):
    scores = tmp_path / "scores.csv"
    scan, truth = str(data / "scan_T1.nii.gz"), str(data / "truth_T1.nii.gz")
    main(["segment", scan, "-o", str(tmp_path / "seg.nii.gz"), "--model", str(run)])
    assert main(["evaluate", str(tmp_path / "seg.nii.gz"), truth, "--csv", str(scores)]) == 0
    expected = {row["label"]: float(row["dice"]) for row in table(scores)}
    rows = [r for r in table(run / "validation.csv") if (r["epoch"], r["domain"]) == ("2", "T1")]
    assert {row["label"]: float(row["dice"]) for row in rows} == pytest.approx(expected)


def test_the_best_network_by_the_worst_domain_is_kept(run):
    best = best_epoch(Checkpoint.read(run).validation)
    facts = json.loads((run / BEST / "run.json").read_text())
    assert facts["validation"] == best and facts["epochs_done"] == best["epoch"] + 1
    weights = [Run.load(folder).task_model.get_weights() for folder in (run, run / BEST)]
    same = all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))
    assert same == (best["epoch"] == 2)


def test_the_best_epoch_is_that_of_the_best_worst_domain():
    scores = {0: (0.2, 0.3), 1: (0.9, 0.1), 2: (0.4, 0.6), 3: (0.4, 0.9)}
    rows = [
        {"epoch": epoch, "domain": domain, "dice": dice}
        for epoch, pair in scores.items()
        for domain, dice in zip(("T1", "CT"), pair, strict=True)
    ]
    assert best_epoch(rows) == {
        "epoch": 2,
        "domain": "T1",
        "dice": 0.4,
        "domains": {"T1": 0.4, "CT": 0.6},
    }
    assert best_epoch([]) is None


def test_fit_takes_the_callback(data):
    recipe, maps = Recipe([RandomIntensity()]), LabelMaps(data / "map.nii.gz", shape=(SIDE,) * 3)
    labels = LabelTable.read(data / "labels.tsv")
    network = UNetConfig(features=2, levels=2)
    model = skull_stripping((SIDE,) * 3, labels, 2.0, recipe, network=network)
    validation = ScanValidation(data / "scans.csv", every=1)
    model.compile("adam")
    history = model.fit(maps, verbose=0, callbacks=[validation]).history
    assert set(history) >= {"val_dice", "val_dice_T1", "val_dice_T2", "val_dice_CT"}
    assert {row["name"] for row in validation.rows} == {"brain"}


def test_a_network_of_slices_is_validated_on_slices(data, tmp_path):
    options = ["--pilot", "2d", "--validate", str(data / "scans.csv"), "--epochs", "1"]
    assert train(data, tmp_path / "run", *options) == 0
    (row,) = table(tmp_path / "run" / "log.csv")
    assert all(0 <= float(row[f"val_dice_{domain}"]) <= 1 for domain in ("T1", "T2", "CT"))
    assert Run.load(tmp_path / "run" / BEST).spacing == (2, 2)


def test_what_cannot_be_validated_is_a_wrong_usage(data, tmp_path, capsys):
    options = ["--validate", str(tmp_path / "none.csv")]
    assert train(data, tmp_path / "run", *options) == 2
    (tmp_path / "scans.csv").write_text("image,labels\nscan.nii.gz,labels.nii.gz\n")
    assert train(data, tmp_path / "run", "--validate", str(tmp_path / "scans.csv")) == 2
    options = ["--validate", str(data / "scans.csv")]
    assert train(data, tmp_path / "run", *options, task="regression") == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("synthtf")]
    assert "none.csv" in lines[0] and "scans.csv, line 2" in lines[1]
    assert "segmentation and stripping" in lines[2]
    assert not (tmp_path / "run").exists()


def test_a_network_of_another_task_finds_nothing_to_compare():
    run = Run(None, LabelTable.from_labels([0, 1]), [], {"task": "registration"})
    with pytest.raises(ValueError, match=r"segments or strips\. Received one of reg"):
        scan_dice(LabelledScan("image.nii.gz"), run)


def test_nothing_is_validated_unless_asked_for():
    assert check_validation("regression", Schedule()) == []
