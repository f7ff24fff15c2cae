import dataclasses

import keras
import numpy as np
import pytest
from scipy import ndimage

from synthtf.data import LabelTable, Volume
from synthtf.inference import EmptyMaskWarning, strip
from synthtf.synthesis import SynthesisConfig
from synthtf.tasks import Run

SHAPE, SPACING, RADIUS = (48, 48, 48), 2.0, 32.0


def network():
    """Reads distances off an image whose brightness falls by 1 % per mm from the brain's border.

    The image is 0.5 at the border, and the second border lies 3 mm further inside.
    """
    image = keras.Input((None, None, None, 1), name="image")
    distance = (0.5 - image) * 100
    return keras.Model(image, keras.ops.concatenate([distance, distance + 3], axis=-1))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    facts = {
        "task": "stripping",
        "shape": list(SHAPE),
        "spacing": [SPACING] * 3,
        "multiple": 8,
        "output_labels": [0, 1],
        "limit": 10.0,
    }
    folder = tmp_path_factory.mktemp("run")
    run = Run.create(folder / "strip", LabelTable.from_labels([0, 1]), SynthesisConfig(), facts)
    run.save_model(network())
    return run


def scan(spacing=(2.0, 2.0, 2.0), shape=SHAPE, codes="RAS", centre=(0, 0, 0)):
    """Brightness 0.5 at the radius, 1 % less for each mm outwards, and the true distance."""
    affine = np.diag([*spacing, 1.0])
    for axis, code in enumerate(codes):
        affine[axis, axis] *= 1 if code in "RAS" else -1
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    distance = np.linalg.norm(grid @ affine[:3, :3].T + affine[:3, 3] - centre, axis=-1) - RADIUS
    image = np.clip(0.5 - distance / 100, 0, 1)
    # Percentiles of 0 and 1, so that normalisation leaves the values alone.
    image.ravel()[: image.size // 20] = 0
    image.ravel()[-image.size // 20 :] = 1
    return Volume(image.astype("float32"), affine), distance


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
    other = Run(run.folder, run.table, run.config, {**run.metadata, "task": "segmentation"})
    with pytest.raises(ValueError, match="Expected a run of the task 'stripping'"):
        strip(scan()[0], other)
