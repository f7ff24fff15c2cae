import numpy as np
import pytest
from PIL import Image

from synthtf.data.label_maps import LabelMaps
from synthtf.data.paths import expand_inputs, pair_outputs
from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import read_geometry, read_volume

ROWS = np.arange(12).reshape(3, 4)


def save(path, pixels, mode=None, **options):
    picture = Image.fromarray(np.asarray(pixels))
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32"])
@pytest.mark.parametrize("ending", [".png", ".tif", ".TIFF"])
def test_grey_pictures_are_2d_images(tmp_path, dtype, ending):
    if ending == ".png" and dtype in ("int32", "float32"):
        pytest.skip("PNG has no such pixels")
    path = save(tmp_path / f"a{ending}", (ROWS * 20).astype(dtype))
    volume = read_volume(path)
    assert volume.ndim == 2 and volume.data.dtype == "float32"
    np.testing.assert_array_equal(volume.data, ROWS.T * 20)
    np.testing.assert_array_equal(volume.affine, np.eye(4))
    shape, affine = read_geometry(path)
    assert shape == (4, 3)
    np.testing.assert_array_equal(affine, np.eye(4))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_that_is_stored_as_colours(tmp_path, mode):
    path = save(tmp_path / "a.png", ROWS.astype("uint8"), mode)
    np.testing.assert_array_equal(read_volume(path).data, ROWS.T)


def test_colours_are_averaged_and_said(tmp_path):
    path = save(tmp_path / "a.png", np.stack([ROWS, 2 * ROWS, 4 * ROWS], -1).astype("uint8"))
    with pytest.warns(UserWarning, match=r"a\.png: its colours were averaged"):
        volume = read_volume(path)
    np.testing.assert_allclose(volume.data, ROWS.T * 7 / 3, rtol=1e-6)


def test_black_and_white(tmp_path):
    path = save(tmp_path / "a.png", ROWS > 5)
    np.testing.assert_array_equal(read_volume(path, labels=True).data, ROWS.T > 5)


def test_labels_and_label_maps(tmp_path):
    path = save(tmp_path / "a.png", (300 * ROWS).astype("uint16"))
    labels = read_volume(path, labels=True)
    assert labels.data.dtype == "int32"
    np.testing.assert_array_equal(labels.data, 300 * ROWS.T)
    maps = LabelMaps([path])
    np.testing.assert_array_equal(maps[0][0]["labels"][0, ..., 0], 300 * ROWS.T)


def test_what_is_written_like_a_picture_lies_on_it(tmp_path):
    like = read_volume(save(tmp_path / "a.png", ROWS.astype("uint8")))
    write_volume(tmp_path / "b.nii.gz", like.data.astype("int32"), like=like)
    again = read_volume(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(again.data, like.data)
    np.testing.assert_array_equal(again.affine, like.affine)


def test_pictures_are_named_and_not_searched_for(tmp_path):
    path = save(tmp_path / "cells.png", ROWS.astype("uint8"))
    (tmp_path / "list.txt").write_text("cells.png\n")
    assert expand_inputs(path) == expand_inputs(tmp_path / "list.txt") == [path]
    (output,) = pair_outputs(tmp_path / "list.txt", tmp_path / "out", "_objects")
    assert output == tmp_path / "out" / "cells_objects.nii.gz"
    with pytest.raises(ValueError, match="holds no volume"):
        expand_inputs(tmp_path)
    with pytest.raises(ValueError, match=r"output .*b\.png: unknown ending"):
        pair_outputs(path, tmp_path / "b.png", "")


def test_damaged_files_are_refused(tmp_path):
    data = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 99, (64, 64), "uint8"))
    data = data.read_bytes()
    for name, content, message in (
        ("cut.png", data[: len(data) // 2], "is damaged, or no picture"),
        ("text.png", b"this is a letter", "is damaged, or no picture"),
        ("empty.tif", b"", "is empty"),
        ("lfs.png", b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_volume(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        read_volume(tmp_path / "none.png")


def test_stacks_are_refused(tmp_path):
    page = Image.fromarray(ROWS.astype("uint8"))
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page, page])
    with pytest.raises(ValueError, match=r"a\.tif must be one picture.* Received: 3 pages"):
        read_volume(tmp_path / "a.tif")
