import numpy as np
import pytest

from synthtf.data.volumes import read_volume
from synthtf.inference.conform import ConformedGrid
from synthtf.inference.foreground import foreground_box


def head(low=0.0, noise=0.0, slope=0.0):
    x, y, z = np.indices((120, 110, 100))
    inside = (x - 60) ** 2 / 40**2 + (y - 50) ** 2 / 45**2 + (z - 45) ** 2 / 35**2 < 1
    tissue = 100 * (1 - slope * np.abs(x - 60) / 60)
    rng = np.random.default_rng(0)
    return low + inside * tissue + noise * np.abs(rng.normal(size=inside.shape)), inside


def contains(box, inside):
    cropped = np.zeros_like(inside)
    cropped[box] = True
    return not np.any(inside & ~cropped)


def test_the_box_is_the_object_and_its_margin():
    image, _ = head()
    box = foreground_box(image, (1, 1, 1), margin=8)
    for part, (low, high) in zip(box, [(21, 100), (6, 95), (11, 80)], strict=True):
        # The last slices of an ellipsoid are too small to count; the margin makes up for them.
        assert low - 8 <= part.start <= low - 4
        assert high + 4 <= part.stop <= high + 8


def test_the_object_is_kept_in_noise_bias_and_offset():
    for low, noise, slope in [(0, 3, 0), (-1000, 0, 0), (20, 2, 0.7)]:
        image, inside = head(low, noise, slope)
        box = foreground_box(image, (1, 1, 1))
        assert contains(box, inside)
        assert np.prod([part.stop - part.start for part in box]) < 0.8 * image.size


def test_the_margin_is_in_mm():
    image, _ = head()
    fine = foreground_box(image, (1, 1, 1), margin=8)
    coarse = foreground_box(image, (2, 2, 2), margin=8)
    assert coarse[0].start - fine[0].start == 4


def test_isolated_bright_voxels_do_not_widen_the_box():
    image, _ = head()
    box = foreground_box(image, (1, 1, 1))
    image[0, 0, 0] = image[-1, -1, -1] = 1000
    assert foreground_box(image, (1, 1, 1)) == box


def test_in_doubt_everything_is_kept():
    everything = (slice(0, 60), slice(0, 60), slice(0, 60))
    constant = np.ones((60, 60, 60))
    assert foreground_box(constant, (1, 1, 1)) == everything
    small = np.zeros((60, 60, 60))
    small[20:40, 20:40, 20:40] = 1
    assert foreground_box(small, (1, 1, 1)) == everything


@pytest.mark.filterwarnings("ignore::UserWarning")  # of headers
@pytest.mark.parametrize(
    "scan, brain",
    [
        ("scans/b_T1_head", "scans/b_labels"),
        ("scans/d_FLAIR_brain", "scans/d_brainmask"),
        ("scans/e_T2_head", "scans/e_T2_brainmask"),
        ("scans/f_T1_head", "scans/f_T1_brainmask"),
        ("templates/ct_brain_1mm", "templates/ct_brainmask_1mm"),
    ],
)
def test_no_brain_is_cut_off_in_real_scans(shared, scan, brain):
    volume = read_volume(shared(f"data/{scan}.nii.gz"))
    mask = read_volume(shared(f"data/{brain}.nii.gz"))
    grid = ConformedGrid.of(volume.data.shape, volume.affine, (2, 2, 2))
    box = foreground_box(grid.conform(volume.data), (2, 2, 2), margin=0)
    inside = grid.conform((mask.data > 0).astype(np.float32)) > 0.5
    # Even without the margin, all but a few voxels of the border are inside.
    assert inside.sum() > 50_000
    assert inside[box].sum() > 0.999 * inside.sum()
