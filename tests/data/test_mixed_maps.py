import numpy as np
import pytest

from synthtf.data import LabelledScan, LabelMaps, Mixed, labelled_scans
from synthtf.data.volume_writer import write_volume


@pytest.fixture
def real(tmp_path):
    """A table of two scans with labels, and of one with a mask."""
    rows = ["image\tlabels\tmask\tdomain\tct"]
    for name in ("a", "b"):
        labels = np.ones((6, 6), "int32")
        labels[2:4, 2:4] = 2
        write_volume(tmp_path / f"{name}_labels.nii.gz", labels, affine=np.eye(4))
        write_volume(tmp_path / f"{name}.nii.gz", 5.0 * labels, affine=np.eye(4))
        rows.append(f"{name}.nii.gz\t{name}_labels.nii.gz\t\tT1\t")
    table = tmp_path / "real.tsv"
    table.write_text("\n".join(rows))
    return table


MAPS = [np.full((6, 6), n, "int32") for n in (3, 4, 5)]


def kinds(maps, count):
    return [maps.map_index(number) < maps.num_real for number in range(count)]


@pytest.mark.parametrize("share", [0.25, 0.3, 0.5, 0.9])
def test_real_and_synthetic_take_turns(real, share):
    maps = Mixed(MAPS, real, share=share, seed=3)
    found = kinds(maps, 200)
    assert sum(found[:100]) == sum(found[50:150]) == round(100 * share)
    assert maps.num_real == 2 and maps.num_maps == 5


def test_each_kind_takes_each_of_its_maps_once_a_pass(real):
    maps = Mixed(MAPS, real, share=0.25, seed=3)
    order = [maps.map_index(number) for number in range(24)]
    others, scans = [i for i in order if i > 1], [i for i in order if i < 2]
    for start in range(0, 18, 3):
        assert sorted(others[start : start + 3]) == [2, 3, 4]
    for start in range(0, 6, 2):
        assert sorted(scans[start : start + 2]) == [0, 1]
    again = Mixed(MAPS, real, share=0.25, seed=3)
    assert [again.map_index(number) for number in range(24)] == order


def test_batches_hold_scans_of_those_that_have_one(real):
    maps = Mixed(MAPS, real, share=0.5, batch_size=4, num_batches=2)
    for batch in maps:
        scan, labels = batch[0]["scan"], batch[0]["labels"]
        has_scan = scan.any(axis=(1, 2, 3))
        assert has_scan.tolist() == (labels.max(axis=(1, 2, 3)) < 3).tolist()
        assert has_scan.sum() == 2
    assert "scan" not in LabelMaps(MAPS)[0][0]


def test_what_cannot_be_mixed(real, tmp_path):
    with pytest.raises(ValueError, match="`share` must lie in"):
        Mixed(MAPS, real, share=1)
    with pytest.raises(ValueError, match="must have labels to learn from"):
        Mixed(MAPS, [LabelledScan(tmp_path / "a.nii.gz", mask=tmp_path / "m.nii.gz")])


@pytest.mark.parametrize(
    "text, message",
    [
        ("image,labels\n", "at least one scan"),
        ("scan,labels\na.nii.gz,a_labels.nii.gz\n", "must have the columns image"),
        ("image,domain\na.nii.gz,T1\n", "must have the columns image"),
        ("image,labels,age\na.nii.gz,a_labels.nii.gz,3\n", "must have the columns image"),
        ("image,labels\na.nii.gz,\n", "line 2: must name a volume as image"),
        ("image,labels\na.nii.gz,a.txt\n", "line 2: must name a volume as image"),
        ("image,labels\na.nii.gz,no.nii.gz\n", "line 2: .*no.nii.gz"),
        ("image,labels,ct\na.nii.gz,a_labels.nii.gz,maybe\n", "line 2: `ct` must be yes or no"),
        ("image,labels\na.nii.gz,a_labels.nii.gz,T1\n", "line 2: must have 2 cells"),
    ],
)
def test_tables_that_are_no_tables_of_scans(real, text, message):
    table = real.with_name("scans.csv")
    table.write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        labelled_scans(table)


def test_a_table_says_domain_and_units(real):
    table = real.with_name("scans.csv")
    table.write_text("ct;image;mask\nYes;a.nii.gz;a_labels.nii.gz\n;b.nii.gz;b_labels.nii.gz\n")
    first, second = labelled_scans(table)
    assert first.ct and not second.ct and first.domain == second.domain == "real"
    assert first.labels is None and first.mask == real.with_name("a_labels.nii.gz")
    assert labelled_scans([first]) == [first]
