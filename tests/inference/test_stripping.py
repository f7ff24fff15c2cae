import dataclasses

import numpy as np
import pytest
from scipy import ndimage
from stripping_runs import SHAPE, scan, write_run

from synthtf.data import Volume, write_volume
from synthtf.inference import EmptyMaskWarning, MemoryBudget, strip
from synthtf.runs import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "strip")


def inner(distance):
    """Away from the corners, which hold the lowest and highest brightness."""
    return np.abs(distance) < 6


@pytest.mark.parametrize(
    ("spacing", "shape", "codes"),
    [((2, 2, 2), SHAPE, "RAS"), ((2, 2, 2), SHAPE, "LPI"), ((1, 2, 3), (96, 48, 32), "RPS")],
)
def test_distances_and_mask_are_on_the_grid_of_the_scan(run, spacing, shape, codes):
    volume, truth = scan(spacing, shape, codes)
    found = strip(volume, run)
    near = inner(truth)
    assert np.abs(found.distance.data - truth)[near].max() < 1.0
    assert found.mask.data.dtype == np.uint8 and found.distance.data.dtype == np.float32
    for result in (found.image, found.mask, found.distance):
        np.testing.assert_array_equal(result.affine, volume.affine)
        assert result.data.shape == volume.data.shape
    clear = near & (np.abs(truth - 1) > 1)
    np.testing.assert_array_equal(found.mask.data[clear], truth[clear] < 1)
    kept = found.mask.data == 1
    np.testing.assert_array_equal(found.image.data[kept], volume.data[kept])
    assert (found.image.data[~kept] == 0).all()


@pytest.mark.parametrize(
    ("options", "border"),
    [({"border": 5}, 5), ({"border": -4}, -4), ({"csf": False, "border": 0}, -3)],
)
def test_border_and_csf_move_the_edge(run, options, border):
    volume, truth = scan()
    mask = strip(volume, run, **options).mask.data == 1
    clear = (np.abs(truth) < 8) & (np.abs(truth - border) > 1)
    np.testing.assert_array_equal(mask[clear], truth[clear] < border)


def test_frames_are_stripped_by_themselves(run):
    (first, _), (second, _) = scan(), scan(centre=(6, -4, 2))
    both = Volume(np.stack([first.data, second.data], -1), first.affine, ndim=3)
    found = strip(both, run)
    for index, volume in enumerate((first, second)):
        alone = strip(volume, run)
        for name in ("image", "mask", "distance"):
            np.testing.assert_array_equal(
                getattr(found, name).data[..., index], getattr(alone, name).data
            )


def test_one_piece_without_holes(run):
    volume, _ = scan()
    data = volume.data.copy()
    data[22:26, 22:26, 22:26] = 0.2  # a hole, deep inside
    data[2:6, 24:28, 24:28] = 0.9  # an island
    mask = strip(dataclasses.replace(volume, data=data), run).mask.data
    assert mask[22:26, 22:26, 22:26].all()
    assert ndimage.label(mask)[1] == 1
    assert not mask[2:6, 24:28, 24:28].any()


def test_the_lowest_value_surrounds_a_brain_in_hounsfield_units(run):
    volume, _ = scan()
    data = (volume.data * 80).astype("int16")
    data[0] = -1000
    found = strip(dataclasses.replace(volume, data=data), run, ct=True)
    assert found.image.data.dtype == np.int16
    assert (found.image.data[found.mask.data == 0] == -1000).all()


@pytest.mark.filterwarnings("ignore:the image is constant")
def test_an_empty_result_is_a_warning(run):
    volume, _ = scan()
    dark = dataclasses.replace(volume, data=np.zeros_like(volume.data))
    with pytest.warns(EmptyMaskWarning, match="no brain was found"):
        assert strip(dark, run).is_empty


@pytest.mark.parametrize(
    ("options", "message"),
    [({"border": 10}, "within the 10 mm"), ({"border": float("nan")}, "within the 10 mm")],
)
def test_refuses(run, options, message):
    with pytest.raises(ValueError, match=message):
        strip(scan()[0], run, **options)


def test_refuses_a_run_of_another_task(run):
    other = Run(run.folder, run.table, run.recipe, {**run.metadata, "task": "segmentation"})
    with pytest.raises(ValueError, match="Expected a run of the task 'stripping'"):
        strip(scan()[0], other)


def test_patches_give_the_distances_of_the_whole_scan(tmp_path):
    import keras

    run = write_run(tmp_path / "strip")
    image = keras.Input((None, None, None, 1), name="image")
    coarse = keras.layers.UpSampling3D(2)(keras.layers.MaxPooling3D(2)(image))
    distance = (0.5 - 0.5 * (image + coarse)) * 100
    run.save_model(keras.Model(image, keras.ops.concatenate([distance, distance + 3], axis=-1)))
    volume, _ = scan()
    whole = strip(volume, run)
    found = strip(volume, run, budget=MemoryBudget(patch=16))
    np.testing.assert_allclose(found.distance.data, whole.distance.data, atol=1e-4)
    with pytest.raises(ValueError, match=r"0.001 GB are too little"):
        strip(volume, run, budget=MemoryBudget(gigabytes=0.001))


def test_file_of_several_frames(run, tmp_path):
    volume, _ = scan()
    frames = np.stack([volume.data, volume.data[::-1]], -1)
    write_volume(tmp_path / "two.nii.gz", frames, affine=volume.affine)
    write_volume(tmp_path / "one.nii.gz", frames[..., :1], affine=volume.affine)
    found = strip(tmp_path / "two.nii.gz", run, fill=-3)
    assert found.mask.data.shape == frames.shape
    assert (found.image.data[found.mask.data == 0] == -3).all()
    with pytest.warns(UserWarning, match="of length one, was dropped"):
        alone = strip(tmp_path / "one.nii.gz", run)
    np.testing.assert_array_equal(alone.mask.data, found.mask.data[..., 0])
