import subprocess
import sys

import numpy as np
import pytest

from synthtf.data.transforms import Affine, Chain, Displacement
from synthtf.interop.transform_files import (
    ENDINGS,
    TransformFile,
    read_transform,
    read_transforms,
    transform_extension,
    write_transform,
)

NAMES = ("a.lta", "a.txt", "a.tfm", "a.mat", "aGenericAffine.mat", "a.nii.gz", "aWarp.nii.gz")
POINTS = np.random.default_rng(0).uniform((-2, -15, 5), (12, -1, 19), (20, 3))  # in fixed


@pytest.fixture
def write(pair):
    def write_one(name, transform):
        path = pair.folder / name
        write_transform(path, transform, fixed=pair.fixed, moving=pair.moving)
        return path

    return write_one


@pytest.mark.parametrize("name", NAMES)
def test_all_formats_hold_the_same_transform(pair, affine, write, name):
    again = read_transform(write(name, affine), fixed=pair.fixed, moving=pair.moving)
    np.testing.assert_allclose(again(POINTS), affine(POINTS), atol=1e-4)
    knows = not name.endswith(("txt", "tfm", "GenericAffine.mat"))
    assert (again.fixed is not None) == knows
    assert sorted(p.name for p in pair.folder.iterdir()) == sorted(
        [name, "fixed.nii.gz", "moving.nii.gz"]
    )


@pytest.mark.parametrize("name", NAMES[:5])
def test_affine_formats_hold_affine_transforms_only(pair, warp, affine, write, name):
    with pytest.raises(ValueError, match="holds only affine transforms"):
        write(name, warp)
    assert not (pair.folder / name).exists()
    inverse_and_back = Chain((affine, affine.inverse()))
    read = read_transform(write(name, inverse_and_back), fixed=pair.fixed, moving=pair.moving)
    np.testing.assert_allclose(read.matrix, np.eye(4), atol=1e-9)


@pytest.mark.parametrize("name", ["a.m3z", "a.h5", "a.mgz", "a", "a.nii.bz2"])
def test_unknown_endings_name_the_known_ones(pair, affine, write, name):
    message = "unknown transform type.*" + ", ".join(ENDINGS)
    with pytest.raises(ValueError, match=message):
        write(name, affine)
    (pair.folder / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=message):
        read_transform(pair.folder / name)


@pytest.mark.parametrize("name", NAMES)
def test_missing_empty_and_large_files(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_transform(path)
    for content in (b"", b"x" * (2**20 + 1), b"\x89PNG\0\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"must|corrupt|truncated|is a|is empty") as caught:
            read_transform(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


POINTERS = {
    "annex": (b"/annex/objects/MD5E-s7--8f", "git annex get"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "lfs pull"),
    "page": (b"<html>log in</html>", "HTML page"),
    "zeros": (bytes(2000), "zeros alone"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", POINTERS)
def test_what_is_there_instead_is_named(tmp_path, name, kind):
    data, message = POINTERS[kind]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_transform(path)
    assert str(caught.value).startswith(f"{path} ")


@pytest.mark.parametrize("name", ["a.m3z", "a.mgz", "aComposite.h5", "a.xfm", "a.dat", "b.1D"])
def test_other_formats_have_a_way_out(name):
    with pytest.raises(ValueError, match=r"unknown transform type.*; convert it with"):
        transform_extension(name)


def test_a_link_to_nothing_is_named(tmp_path):
    path = tmp_path / "a.lta"
    path.symlink_to(".git/annex/objects/a.lta")
    for reader in (read_transform, TransformFile.parse):
        with pytest.raises(FileNotFoundError, match="is a link to nothing"):
            reader(str(path))


def test_a_failed_write_leaves_the_old_file(pair, affine, write, monkeypatch):
    path = write("a.lta", affine)
    before = path.read_bytes()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="No space"):
        write("a.lta", affine.inverse())
    assert path.read_bytes() == before
    assert not list(pair.folder.glob(".*"))


def test_files_in_the_order_of_the_image(pair, affine, warp, write):
    first, second = write("a.lta", affine), write("b.nii.gz", warp)
    files = TransformFile.parse(f"{first},{second}:inverse")
    assert files == [TransformFile(first), TransformFile(second, inverse=True)]
    found = read_transforms(files)
    read = read_transform(second)
    np.testing.assert_allclose(found(POINTS), affine(read.inverse()(POINTS)), atol=1e-6)
    assert [type(t) for t in found.transforms] == [Affine, Displacement]


def test_affines_in_files_become_one(affine, write):
    files = TransformFile.parse(f"{write('a.lta', affine)}, {write('b.tfm', affine)}")
    found = read_transforms(files)
    np.testing.assert_allclose(found.matrix, affine.matrix @ affine.matrix, atol=1e-12)


def test_a_name_with_a_comma_is_a_name(affine, write):
    path = write("a,b.lta", affine)
    assert TransformFile.parse(str(path)) == [TransformFile(path)]


@pytest.mark.parametrize("words", ["", "gone.lta", "{a},gone.tfm", "{a},", "{a},,{a}", "{a}:up"])
def test_wrong_words(affine, write, words):
    path = write("a.lta", affine)
    with pytest.raises((ValueError, FileNotFoundError)):
        TransformFile.parse(words.format(a=path))


def test_fsl_in_a_chain_takes_the_grids_of_its_neighbours(pair, affine, write):
    fsl = TransformFile(write("a.mat", affine))
    lta = TransformFile(write("a.lta", affine))
    back = TransformFile(lta.path, inverse=True)
    assert fsl.needs_images and not lta.needs_images
    for files in ([fsl, back], [back, fsl], [fsl, back, fsl], [fsl, TransformFile(fsl.path, True)]):
        if len(files) == 2 and files[1].path == fsl.path and files[0] is fsl:
            with pytest.raises(ValueError, match="the fixed image is missing"):
                read_transforms(files, moving=pair.moving, fixed=pair.moving)
            continue
        ends = {
            "moving": pair.moving if files[0] is fsl else pair.fixed,
            "fixed": pair.fixed if files[-1] is fsl else pair.moving,
        }
        found = read_transforms(files, **ends)
        expected = affine.matrix if len(files) == 3 else np.eye(4)
        np.testing.assert_allclose(found.matrix, expected, atol=1e-9)


def test_fsl_inverted_takes_the_images_the_other_way_round(pair, affine, write):
    file = TransformFile(write("a.mat", affine), inverse=True)
    found = read_transforms([file], moving=pair.fixed, fixed=pair.moving)
    np.testing.assert_allclose(found.matrix, affine.inverse().matrix, atol=1e-9)


def test_transforms_are_read_without_keras():
    code = "import sys, synthtf.interop as i; i.read_transform; print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
