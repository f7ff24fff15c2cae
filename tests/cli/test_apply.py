import nibabel as nib
import numpy as np
import pytest

from synthtf.cli.main import main
from synthtf.data.grid import Grid
from synthtf.data.transforms import Affine, Displacement
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_volume
from synthtf.interop.transform_files import write_transform

AFFINE = np.array([[-2.0, 0, 0, 12], [0, 0, 1, -4], [0, -1, 0, 5], [0, 0, 0, 1]])
GRID = np.array([[1.0, 0, 0, -8], [0, 1, 0, -5], [0, 0, 1, -6], [0, 0, 0, 1]])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files named a to z, with the folder as the current one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    write_volume("scan.nii.gz", rng.uniform(1, 2, (13, 11, 10)).astype("f4"), affine=AFFINE)
    write_volume("labels.nii.gz", rng.choice([0, 4, 9000], (13, 11, 10)), affine=AFFINE)
    write_volume("ref.nii.gz", rng.uniform(1, 2, (16, 12, 11)).astype("f4"), affine=GRID)
    fixed, moving = read_volume("ref.nii.gz"), read_volume("scan.nii.gz")
    for name in ("shift.lta", "shift.tfm", "shift.mat", "shift.nii.gz"):
        write_transform(name, shift(4, 0, 0), fixed=fixed, moving=moving)
    return tmp_path


def shift(*mm):
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return Affine(matrix)


def run(words):
    return main(["apply", *words.split()])


def data(name):
    return nib.load(name).get_fdata()


@pytest.mark.parametrize("transform", ["shift.lta", "shift.tfm", "shift.mat", "shift.nii.gz"])
def test_image_and_labels_on_the_grid_of_a_reference(folder, capsys, transform):
    words = f"-m nearest --like ref.nii.gz {transform} scan.nii.gz a.nii.gz labels.nii.gz new/b.mgz"
    assert run(words) == 0
    assert capsys.readouterr().err == ""
    x, y, z = 9, 6, 4  # of the result, at (1, 1, -2) mm; found in the scan at (5, 1, -2)
    i, j, k = np.rint(np.linalg.inv(AFFINE) @ (5, 1, -2, 1))[:3].astype(int)
    assert data("a.nii.gz")[x, y, z] == data("scan.nii.gz")[i, j, k]
    assert data("new/b.mgz")[x, y, z] == data("labels.nii.gz")[i, j, k]
    assert set(np.unique(data("new/b.mgz"))) == {0, 4, 9000}
    assert nib.load("a.nii.gz").shape == (16, 12, 11)
    np.testing.assert_array_equal(nib.load("a.nii.gz").affine, GRID)
    assert nib.load("new/b.mgz").get_data_dtype().str == ">i2"


def test_the_grid_without_a_reference(folder):
    assert run("shift.lta scan.nii.gz a.nii.gz") == 0
    assert run("shift.tfm scan.nii.gz b.nii.gz") == 0
    np.testing.assert_array_equal(nib.load("a.nii.gz").affine, GRID)
    np.testing.assert_array_equal(nib.load("b.nii.gz").affine, AFFINE)
    # 4 mm to the right, along an axis of 2 mm that runs to the left.
    np.testing.assert_allclose(data("b.nii.gz")[2:], data("scan.nii.gz")[:-2], atol=1e-6)
    assert (data("b.nii.gz")[:2] == 0).all()


def test_linear_interpolation_and_fill(folder):
    write_transform("half.tfm", shift(-1, 0, 0), fixed=None, moving=None)
    assert run("--fill -7 half.tfm scan.nii.gz a.nii.gz") == 0
    scan = data("scan.nii.gz")
    np.testing.assert_allclose(data("a.nii.gz")[:-1], (scan[:-1] + scan[1:]) / 2, atol=1e-6)
    assert run("--fill -7 shift.tfm scan.nii.gz b.nii.gz") == 0
    assert (data("b.nii.gz")[:2] == -7).all()


@pytest.mark.parametrize(
    "transforms",
    [
        "shift.tfm,shift.lta:inverse",
        "shift.lta:inverse,shift.tfm",
        "shift.nii.gz,shift.tfm:inverse",
    ],
)
def test_a_chain_that_ends_where_it_began(folder, transforms):
    assert run(f"{transforms} --like scan.nii.gz scan.nii.gz a.nii.gz") == 0
    np.testing.assert_allclose(data("a.nii.gz"), data("scan.nii.gz"), atol=1e-4)


def test_the_first_transform_meets_the_image_first(folder):
    # A warp that lies in the world of the fixed image, which the shift has moved by 20 mm.
    field = np.zeros((16, 12, 11, 3), np.float32)
    field[8:, ..., 1] = 1
    affine = GRID.copy()
    affine[0, 3] -= 20
    write_transform("far.tfm", shift(20, 0, 0), fixed=None, moving=None)
    like = Grid((16, 12, 11), affine)
    write_transform("warp.nii.gz", Displacement(field, affine), fixed=like, moving=like)
    write_volume("y.nii.gz", np.indices((16, 12, 11))[1].astype("f4"), affine=GRID)
    assert run("far.tfm,warp.nii.gz y.nii.gz a.nii.gz") == 0
    np.testing.assert_allclose(nib.load("a.nii.gz").affine, affine)
    np.testing.assert_allclose(data("a.nii.gz")[7:9, 5, 5], [5, 6])


@pytest.mark.parametrize("transform", ["shift.lta", "shift.mat", "shift.tfm", "shift.nii.gz"])
def test_inverse(folder, transform):
    assert run(f"--inverse --like scan.nii.gz {transform} ref.nii.gz a.nii.gz") == 0
    write_transform("back.tfm", shift(-4, 0, 0), fixed=None, moving=None)
    assert run("--like scan.nii.gz back.tfm ref.nii.gz b.nii.gz") == 0
    np.testing.assert_allclose(data("a.nii.gz"), data("b.nii.gz"), atol=1e-4)
    assert data("b.nii.gz").max() > 1


@pytest.mark.parametrize("transform", ["shift.lta", "shift.tfm", "shift.nii.gz"])
def test_points_move_with_the_image(folder, transform):
    (folder / "points.csv").write_text("x,y,z,name\n5,1,-2,a\n0,0,0,b\n")
    assert run(f"{transform} points.csv moved.csv") == 0
    # What lies at 5 mm in the scan is found at 1 mm in the result: see the test of images.
    assert (folder / "moved.csv").read_text().splitlines() == [
        "x,y,z,name",
        "1.000000,1.000000,-2.000000,a",
        "-4.000000,0.000000,0.000000,b",
    ]
    assert run(f"--inverse {transform} moved.csv back.tsv") == 0
    assert "5.000000\t1.000000\t-2.000000\ta" in (folder / "back.tsv").read_text()


def test_columns_of_points_are_found_by_their_names(folder, capsys):
    text = '# CoordinateSystem = LPS\n# columns = id,z,y,x,label\nf1,-2,-1,-5,"a, b"\n'
    (folder / "points.fcsv").write_text(text)
    assert run("shift.lta points.fcsv moved.fcsv") == 0
    assert (folder / "moved.fcsv").read_text().splitlines() == [
        *text.splitlines()[:2],
        'f1,-2.000000,-1.000000,-1.000000,"a, b"',
    ]
    (folder / "ants.csv").write_text("x,y,z,t\n-5,-1,-2,0\n")
    assert run("shift.lta ants.csv moved.csv") == 1
    assert (
        "synthtf apply: ants.csv: columns x, y, z, t are those of ANTs" in capsys.readouterr().err
    )
    assert run("--points lps shift.lta ants.csv moved.csv") == 0
    assert (folder / "moved.csv").read_text().endswith("-1.000000,-1.000000,-2.000000,0\n")


def test_an_error_names_file_and_line_once(folder, capsys):
    (folder / "bad.csv").write_text("x,y,z\n1,2,3\n1,2\n")
    assert run("shift.lta bad.csv moved.csv") == 1
    assert capsys.readouterr().err == (
        "synthtf apply: bad.csv: line 3: x, y and z must be three numbers. Received: '1 2'\n"
    )


def test_frames_and_slices_keep_their_axes(folder):
    rng = np.random.default_rng(1)
    for name, shape in (
        ("f", (6, 7, 8, 3)),
        ("s", (6, 7, 1)),
        ("sf", (6, 7, 1, 3)),
        ("flat", (6, 7)),
    ):
        image = nib.Nifti1Image(rng.uniform(1, 2, shape).astype("f4"), np.eye(4))
        image.to_filename(f"{name}.nii.gz")
        write_transform("one.tfm", shift(1, 0, 0), fixed=None, moving=None)
        assert run(f"one.tfm {name}.nii.gz {name}_moved.nii.gz") == 0
        moved = data(f"{name}_moved.nii.gz")
        assert moved.shape == shape
        np.testing.assert_allclose(moved[:-1], data(f"{name}.nii.gz")[1:], atol=1e-6)


def test_images_that_are_no_labels_may_be_moved_by_nearest_neighbour(folder, capsys):
    values = np.arange(-1000, -936).reshape(4, 4, 4)
    write_volume("ct.nii.gz", values, affine=np.eye(4))
    write_transform("one.tfm", shift(0, 0, 0), fixed=None, moving=None)
    assert run("-m nearest one.tfm ct.nii.gz a.nii.gz") == 0
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(data("a.nii.gz"), values)


def test_one_bad_input_never_stops_the_rest(folder, capsys):
    (folder / "bad.nii.gz").write_bytes(b"x")
    (folder / "bad.csv").write_text("x,y,z\n1,2\n")
    (folder / "good.csv").write_text("1,2,3\n")
    words = "bad.nii.gz a.nii.gz gone.nii.gz b.nii.gz bad.csv c.csv good.csv d.csv"
    assert run(f"shift.lta {words} scan.nii.gz e.nii.gz") == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("synthtf")]
    assert [line.split(":")[1].strip() for line in lines] == [
        "bad.nii.gz",
        "gone.nii.gz",
        "bad.csv",
    ]
    found = sorted(p.name for p in folder.glob("[a-e].*"))
    assert found == ["d.csv", "e.nii.gz"]


def test_fsl_needs_the_fixed_image(folder, capsys):
    assert run("shift.mat scan.nii.gz a.nii.gz") == 1
    assert "shift.mat: an FSL matrix needs both images" in capsys.readouterr().err
    assert not (folder / "a.nii.gz").exists()


def test_a_malformed_transform_fails(folder, capsys):
    (folder / "bad.lta").write_text("type = 1\n")
    assert run("bad.lta scan.nii.gz a.nii.gz") == 1
    message = capsys.readouterr().err
    assert message.startswith("synthtf apply: bad.lta: an LTA must have")
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    "words, message",
    [
        ("gone.lta scan.nii.gz a.nii.gz", "gone.lta does not exist"),
        ("scan.m3z scan.nii.gz a.nii.gz", "scan.m3z: unknown transform type; the ending must"),
        ("shift.lta scan.nii.gz", "expected pairs of IN and OUT, received 1 files"),
        ("shift.lta scan.nii.gz a.nii.gz ref.nii.gz", "received 3 files"),
        ("shift.lta scan.nii.gz a.csv", "expected two volumes"),
        ("shift.lta scan.png a.png", "expected two volumes"),
        ("shift.lta a.mrk.json b.mrk.json", "markups of Slicer are read as .fcsv; save them so"),
        ("shift.lta scan.nii.gz scan.nii.gz", "output scan.nii.gz is also an input"),
        ("shift.lta scan.nii.gz ./../{here}/labels.nii.gz labels.nii.gz b.nii.gz", "also an input"),
        ("shift.lta scan.nii.gz a.nii.gz labels.nii.gz a.nii.gz", "output a.nii.gz is also"),
        ("shift.nii.gz scan.nii.gz shift.nii.gz", "output shift.nii.gz is also an input"),
        ("--like ref.nii.gz shift.lta scan.nii.gz ref.nii.gz", "output ref.nii.gz is also"),
        ("--like gone.nii.gz shift.lta scan.nii.gz a.nii.gz", "gone.nii.gz does not exist"),
        ("--fill nan shift.lta scan.nii.gz a.nii.gz", "--fill: expected a finite number"),
    ],
)
def test_wrong_usage(folder, capsys, words, message):
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert run(words.format(here=folder.name)) == 2
    lines = capsys.readouterr().err
    assert message in lines and lines.count("\n") == 1
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before
