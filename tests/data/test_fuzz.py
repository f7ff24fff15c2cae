"""Files damaged at random, of every kind but weights: refused in one line, or read rightly.

Not known, and hence exempt: a flipped bit among the voxels of an uncompressed file; and values
that another file could well have, such as another slope, origin or label.
"""

import gzip
import json
import sys

import nibabel as nib
import numpy as np
import pytest
from faults import (
    attempt,
    bounded_memory,
    flip,
    generator,
    inside,
    overwrite,
    replace_word,
    truncate,
)

from synthtf.data.grid import Grid
from synthtf.data.label_table import LabelTable
from synthtf.data.paths import expand_inputs
from synthtf.data.points import read_points
from synthtf.data.transforms import Affine
from synthtf.data.volumes import Volume, read_geometry, read_volume
from synthtf.interop.transform_files import read_transform, write_transform
from synthtf.synthesis import Recipe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as on Linux")

AFFINE = np.array([[-2.0, 0, 0, 12], [0, 0, 1, -4], [0, -1, 0, 5], [0, 0, 0, 1]])
DATA = np.random.default_rng(0).integers(0, 50, (12, 10, 8)).astype("int16")
HEADERS = {".nii": 352, ".nii.gz": 352, ".mgh": 90, ".mgz": 90}


@pytest.fixture(autouse=True)
def _memory():
    with bounded_memory():
        yield


def volume_bytes(ending):
    """A label map whose qform and sform agree."""
    if ending.startswith(".m"):
        data = nib.MGHImage(DATA, AFFINE).to_bytes()
    else:
        image = nib.Nifti1Image(DATA, AFFINE)
        image.header.set_qform(AFFINE, 1)
        image.header.set_sform(AFFINE, 1)
        data = image.to_bytes()
    return gzip.compress(data, 6, mtime=0) if ending[-1] == "z" else data


def damaged_volumes(ending):
    """125 damaged files, and whether the voxels of each follow from its bytes being verified."""
    rng, whole = generator("volumes", ending), volume_bytes(ending)
    compressed = ending[-1] == "z"
    for index in range(125):
        if index % 5 == 0:
            yield truncate(whole, rng), True
        elif index % 5 in (1, 2):
            yield flip(whole, rng, index % 5), compressed
        elif compressed:
            yield inside(overwrite, whole, rng, HEADERS[ending]), False
        else:
            yield overwrite(whole, rng, HEADERS[ending]), False


def same(volume):
    return np.array_equal(volume.data, DATA) and np.allclose(volume.affine, AFFINE)


@pytest.mark.parametrize("ending", HEADERS)
@pytest.mark.parametrize("labels", [False, True])
def test_volumes(tmp_path, ending, labels):
    path, refused = tmp_path / f"x{ending}", 0
    for data, verified in damaged_volumes(ending):
        path.write_bytes(data)
        attempt(read_geometry, path)
        volume, _ = attempt(lambda p: read_volume(p, labels=labels), path)
        refused += volume is None
        if volume is None:
            continue
        assert volume.data.dtype == ("int32" if labels else "float32")
        assert np.isfinite(volume.data).all() and np.isfinite(volume.affine).all()
        assert same(volume) or not verified
    assert 25 <= refused < 125


NAN, INF = float("nan"), float("inf")
FIELDS = {
    "sizeof_hdr": (0, 347, 540, -1),
    "dim": (0, 1, 2, 4, 5, 7, 8, 255, -1),
    "dim 1": (0, 1, 2, 11, 13, 32767, -12),
    "dim 2": (0, 1, 9, 11, 32767, -10),
    "dim 3": (0, 1, 7, 9, 32767, -8),
    "dim 4": (0, 2, 300, -1),
    "datatype": (0, 1, 2, 8, 16, 32, 64, 77, 128, 256, 1536, 1792, 2048, 2304, -1),
    "bitpix": (1, 8, 17, 32, 4096, -16),
    "pixdim": (0, 2, NAN, INF),
    "pixdim 1": (0, -2, 3, 1e-30, 1e30, NAN, INF),
    "vox_offset": (0, 1, 348, 351, 352.5, 353, 368, 1e9, 1e30, -352, NAN, INF),
    "scl_slope": (INF, -INF),
    "qform_code": (-1, 6, 32767),
    "sform_code": (-1, 6, 32767),
    "quatern_b": (0.5, 2, 1e30, NAN, INF),
    "qoffset_x": (0, 1e9, 1e38, NAN, -INF),
    "srow_x": (0, 1, 1e30, NAN, INF),
    "magic": (b"ni1\0", b"n+2\0", b"\0\0\0\0", b"xxx\0"),
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in FIELDS.items() for value in values]
)
def test_fields_of_nifti(tmp_path, ending, field, value):
    """Whatever makes a difference is refused or said."""
    name, _, index = field.partition(" ")
    whole = volume_bytes(".nii")
    header = nib.Nifti1Header(whole[:348], check=False)
    if header[name].ndim:
        header[name][int(index or 0)] = value
    else:
        header[name] = value
    data = header.binaryblock + whole[348:]
    path = tmp_path / f"x{ending}"
    path.write_bytes(gzip.compress(data, 1) if ending[-1] == "z" else data)
    volume, said = attempt(lambda p: read_volume(p, labels=True), path)
    assert volume is None or said or same(volume)
    assert all(str(path) in line for line in said)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("version", (0, 2)),
        ("dims", (-1, 0, 13, 2**30)),
        ("type", (-1, 0, 1, 2, 3, 5, 99)),
        ("goodRASFlag", (0,)),
        ("delta", (0, -1, 1e30, NAN, INF)),
        ("Mdc", (0.5, 1e30, NAN, INF)),
        ("Pxyz_c", (1e30, NAN, INF)),
    ],
)
@pytest.mark.parametrize("ending", [".mgh", ".mgz"])
def test_fields_of_mgh(tmp_path, ending, field, values):
    whole = volume_bytes(".mgh")
    for value in values:
        header = nib.freesurfer.mghformat.MGHHeader(whole[:284], check=False)
        if header[field].ndim:
            header[field].flat[0] = value
        else:
            header[field] = value
        data = header.binaryblock + whole[284:]
        path = tmp_path / f"x{ending}"
        path.write_bytes(gzip.compress(data, 1) if ending[-1] == "z" else data)
        volume, said = attempt(lambda p: read_volume(p, labels=True), path)
        assert volume is None or said or same(volume)


def save_others(folder):
    """A good file of each kind, and how it is read."""
    grid = Grid((6, 5, 4), np.diag([-2.0, 2, 2, 1]))
    volume = Volume(np.zeros(grid.shape, "float32"), grid.affine)
    matrix = np.array([[1.0, 0.1, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    kinds = {}
    names = ("a.lta", "a.txt", "a.tfm", "a.mat", "x_0GenericAffine.mat", "w.nii.gz", "1Warp.nii")
    for name in names:
        write_transform(folder / name, Affine(matrix), fixed=grid, moving=grid)
        kinds[name] = lambda path: read_transform(path, fixed=volume, moving=volume)
    LabelTable.from_labels([1, 2, 43]).write(folder / "labels.tsv")
    (folder / "lut.txt").write_text("# a\n0 Unknown 0 0 0 0\n4 Left-V 1 2 3 0\n43 Right-V 1 2 3 0")
    Recipe.preset("heads").save(folder / "recipe.json")
    (folder / "points.csv").write_text("x,y,z,name\n1,2,3,a\n4.5,5,6,b\n")
    (folder / "points.txt").write_text("1 2 3\n4.5 5 6\n")
    (folder / "list.txt").write_text("# scans\na.nii.gz\nb ü.mgz\n")
    kinds |= {"labels.tsv": LabelTable.read, "lut.txt": LabelTable.read}
    kinds |= {"recipe.json": Recipe.load, "list.txt": expand_inputs}
    return kinds | {"points.csv": read_points, "points.txt": read_points}


def test_transforms_tables_recipes_and_points(tmp_path):
    for name, reader in save_others(tmp_path).items():
        whole, rng, refused = (tmp_path / name).read_bytes(), generator("others", name), 0
        assert attempt(reader, tmp_path / name)[0] is not None
        binary = ".nii" in name or "Generic" in name
        for index in range(60):
            if index % 3 == 0:
                data = truncate(whole, rng)
            elif index % 3 == 1:
                data = flip(whole, rng)
            elif not binary:
                data = replace_word(whole, rng)
            elif name.endswith("gz"):
                data = inside(overwrite, whole, rng, 352)
            else:
                data = overwrite(whole, rng, 352)
            path = tmp_path / f"damaged {name}"
            path.write_bytes(data)
            value, _ = attempt(reader, path)
            refused += value is None
            if name.endswith("gz") and index % 3 < 2:
                assert value is None or np.array_equal(value.field, reader(tmp_path / name).field)
        assert refused > 5, name


WRONG = (None, True, -1, 1.5, "x", [], {}, [1], [2, 1], [1, 2, 3], 10**400, [None, 1])


@pytest.mark.slow
def test_recipes_of_the_wrong_kinds(tmp_path):
    """Each entry of a recipe is refused by its name, or of the kind that it has to be."""
    path, good = tmp_path / "recipe.json", Recipe.preset("tutorial")
    for number, step in enumerate(good):
        entries = good.entries()
        for name, argument in type(step).arguments().items():
            for value in WRONG:
                entries[number] = {**good.entries()[number], name: value}
                path.write_text(json.dumps(entries))
                recipe, said = attempt(Recipe.load, path)
                if recipe is None:
                    assert name in said[0]
                else:
                    found = getattr(recipe[step.name], name)
                    assert argument.parse(found) == found


@pytest.mark.parametrize("text", ["", "[" * 200_000, '{"a": ' * 200_000, "[]", "3", "null", "\0"])
def test_json_of_another_form(tmp_path, text):
    path = tmp_path / "recipe.json"
    path.write_text(text)
    assert attempt(Recipe.load, path)[0] is None
