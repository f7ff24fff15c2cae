import dataclasses
import functools
import types

import keras
import nibabel
import numpy as np
import pytest
from nibabel.affines import apply_affine

from synthtf.data.volume_writer import write_volume
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference import EmptySegmentationWarning, MemoryBudget, segment

INNER, OUTER = (12.0, 15.0, 10.0), (27.0, 30.0, 26.0)  # mm, half axes of two ellipsoids


def turned(affine, degrees=12):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def phantom(codes="RAS", spacing=(1.0, 1.0, 1.0), turn=False, offset=0.0, scale=1.0):
    """A scan of two nested ellipsoids, and its labels: 20 in the inner one, 10 around it."""
    image, labels, affine = rendered(codes, spacing, turn)
    return Volume(offset + scale * image, affine), labels


@functools.cache
def rendered(codes, spacing, turn):
    shape = tuple(int(70 / s) for s in spacing)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.array(spacing) * (np.array(shape) - 1) / 2 + (2.3, -1.6, 0.7)
    affine = turned(affine) if turn else affine
    orientation = nibabel.orientations.axcodes2ornt(codes)
    empty = nibabel.Nifti1Image(np.zeros(shape, np.float32), affine).as_reoriented(orientation)
    # Voxels are averages over their extent: three samples across each axis.
    steps = (np.arange(3) - 1) / 3
    image = np.zeros(empty.shape)
    centres = np.stack(np.indices(empty.shape), -1).astype(float)
    for shift in np.array(np.meshgrid(steps, steps, steps)).reshape(3, -1).T:
        image += intensity(apply_affine(empty.affine, centres + shift)) / 27
    labels = 20 * intensity(apply_affine(empty.affine, centres))
    return image.astype(np.float32), labels.astype(int), empty.affine


def intensity(points):
    inner = (points**2 / np.square(INNER)).sum(-1) < 1
    outer = (points**2 / np.square(OUTER)).sum(-1) < 1
    return 0.5 * outer + 0.5 * inner


def dice(a, b):
    return 2 * np.sum(a & b) / (a.sum() + b.sum())


def volume_of(half_axes):
    return 4 / 3 * np.pi * np.prod(half_axes)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"codes": "PSR", "spacing": (2.0, 2.0, 2.0)},
        {"codes": "LIA", "offset": -300.0, "scale": 700.0},
        {"codes": "SPL", "spacing": (0.8, 0.8, 3.0), "turn": True},
        *(
            pytest.param(options, marks=pytest.mark.slow)
            for options in (
                {"codes": "LPS"},
                {"codes": "LAS"},
                {"turn": True},
                {"codes": "RAS", "spacing": (0.7, 0.7, 4.0)},
            )
        ),
    ],
    ids=str,
)
def test_the_right_labels_on_the_grid_of_the_scan(contrast_run, options):
    scan, truth = phantom(**options)
    result = segment(scan, contrast_run)
    labels = result.labels.data
    assert labels.shape == scan.data.shape
    np.testing.assert_array_equal(result.labels.affine, scan.affine)
    assert set(np.unique(labels)) == {0, 10, 20}
    thick = max(scan.spacing) > 1
    assert dice(labels == 20, truth == 20) > (0.9 if thick else 0.97)
    assert dice(labels > 0, truth > 0) > (0.95 if thick else 0.98)
    # Soft volumes hold in spite of slices of 4 mm.
    assert result.volumes[20] == pytest.approx(volume_of(INNER), rel=0.06)
    whole = volume_of(OUTER) - volume_of(INNER)
    assert result.volumes[10] == pytest.approx(whole, rel=0.06)


@pytest.mark.filterwarnings("ignore::synthtf.inference.CautionWarning")
def test_flipping_swaps_pairs_and_keeps_left_left(side_run):
    scan, _ = phantom("PSR")
    scan = dataclasses.replace(scan, data=(scan.data > 0.4).astype(np.float32))
    single = segment(scan, side_run, flip=False)
    averaged = segment(scan, side_run)
    np.testing.assert_array_equal(single.labels.data, averaged.labels.data)
    left, right = (
        apply_affine(scan.affine, np.argwhere(averaged.labels.data == value)) for value in (10, 20)
    )
    assert left[:, 0].max() < right[:, 0].min()
    unpaired = segment(scan, type(side_run)(**(vars(side_run) | {"output_pairs": ()})))
    assert np.any(unpaired.labels.data != averaged.labels.data)


def test_a_label_of_one_side_has_no_mirror_image_to_average_with(side_run):
    scan, _ = phantom("PSR")
    rows = {"names": ("background", "left", "middle"), "sides": ("none", "left", "none")}
    table = dataclasses.replace(side_run.table, **rows)
    run = type(side_run)(**(vars(side_run) | {"table": table, "output_pairs": ()}))
    labels = [segment(scan, run, flip=flip).labels.data for flip in (True, False)]
    np.testing.assert_array_equal(*labels)
    assert set(np.unique(labels[0])) == {0, 10, 20}


def test_posteriors_are_on_the_grid_of_the_scan_and_agree_with_the_labels(contrast_run):
    scan, _ = phantom("LPS", (1.0, 1.0, 3.0))
    result = segment(scan, contrast_run, posteriors=True)
    posteriors = result.posteriors.data
    assert posteriors.shape == (*scan.data.shape, 3)
    np.testing.assert_allclose(posteriors.sum(-1), 1, atol=1e-4)
    np.testing.assert_array_equal(np.array([0, 10, 20])[posteriors.argmax(-1)], result.labels.data)
    assert segment(scan, contrast_run).posteriors is None


def test_conformed_results_are_in_ras_at_the_spacing_of_the_network(contrast_run):
    scan, _ = phantom("PSR", (1.6, 2.0, 2.4))
    result = segment(scan, contrast_run, conformed=True, posteriors=True)
    assert nibabel.aff2axcodes(result.labels.affine) == ("R", "A", "S")
    np.testing.assert_allclose(result.labels.spacing, 1, atol=1e-6)
    assert result.posteriors.data.shape == (*result.labels.data.shape, 3)
    centres = np.stack(np.indices(result.labels.data.shape), -1).astype(float)
    truth = intensity(apply_affine(result.labels.affine, centres))
    assert dice(result.labels.data == 20, truth == 1) > 0.93


def test_padding_around_the_head_changes_nothing(contrast_run):
    scan, _ = phantom()
    margin = 40
    affine = scan.affine @ nibabel.affines.from_matvec(np.eye(3), [-margin] * 3)
    padded = Volume(np.pad(scan.data, margin), affine)
    inner = (slice(margin, -margin),) * 3
    result = segment(padded, contrast_run).labels.data
    expected = segment(scan, contrast_run).labels.data
    assert np.count_nonzero(result) == np.count_nonzero(result[inner])
    # Percentiles move a little with the amount of background.
    assert dice(result[inner] > 0, expected > 0) > 0.99


def test_only_the_largest_piece_is_kept_unless_asked_for(contrast_run):
    scan, _ = phantom()
    scan.data[2:6, 2:6, 2:6] = 0.5
    assert np.all(segment(scan, contrast_run).labels.data[2:6, 2:6, 2:6] == 0)
    everything = segment(scan, contrast_run, cleaning=None)
    assert np.all(everything.labels.data[3:5, 3:5, 3:5] == 10)


def test_hounsfield_units(contrast_run):
    scan, truth = phantom()
    # Tissue of 40 and 80 HU in air of -1000 HU, with bone far above on one side.
    data = np.where(scan.data > 0.02, 80 * scan.data, -1000).astype(np.float32)
    data[:, 66:, 20:50] = 2000
    result = segment(Volume(data, scan.affine), contrast_run, ct=True)
    assert dice(result.labels.data[:, :60] == 20, truth[:, :60] == 20) > 0.95


def test_a_file_is_read_and_its_affine_written_back_to_the_bit(contrast_run, tmp_path):
    scan, _ = phantom("LPS", (1.0, 1.0, 2.0), turn=True)
    write_volume(tmp_path / "scan.nii.gz", scan.data, affine=scan.affine)
    result = segment(tmp_path / "scan.nii.gz", contrast_run)
    stored = read_volume(tmp_path / "scan.nii.gz")
    write_volume(tmp_path / "labels.nii.gz", result.labels.data, like=result.labels)
    written = nibabel.load(tmp_path / "labels.nii.gz")
    assert written.shape == stored.data.shape
    np.testing.assert_array_equal(written.affine, nibabel.load(tmp_path / "scan.nii.gz").affine)


def test_a_single_slice(contrast_run):
    scan, truth = phantom(spacing=(1.0, 1.0, 4.0))
    middle = scan.data.shape[2] // 2
    flat = Volume(scan.data[..., middle], scan.affine)
    result = segment(flat, contrast_run, posteriors=True)
    assert result.labels.data.shape == flat.data.shape
    assert dice(result.labels.data == 20, truth[..., middle] == 20) > 0.9
    thin = Volume(scan.data[..., middle : middle + 1], scan.affine)
    np.testing.assert_array_equal(
        segment(thin, contrast_run).labels.data[..., 0], result.labels.data
    )


def test_an_empty_result_is_a_warning_that_names_the_scan(contrast_run):
    dark = np.zeros((20, 20, 20), np.float32)
    dark[10, 10, 10] = 1  # one voxel, removed by nothing but the threshold
    fields = vars(contrast_run) | {"task_model": constant_network()}
    volume = Volume(dark, np.eye(4), path="scans/dark.nii.gz")
    with pytest.warns(EmptySegmentationWarning, match=r"scans/dark.nii.gz: nothing was found"):
        result = segment(volume, type(contrast_run)(**fields))
    assert result.is_empty
    assert result.volumes == {10: 0, 20: 0}


def constant_network():
    import keras

    inputs = keras.Input((None, None, None, 1))
    background = keras.ops.ones_like(inputs)
    nothing = keras.ops.zeros_like(inputs)
    outputs = keras.ops.concatenate([background, nothing, nothing], axis=-1)
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"task": "registration"}, "'segmentation'. Received 'registration': runs/contrast"),
        ({"spacing": (1.0, 1.0)}, "three dimensions. Received one of 2: runs/contrast"),
        ({"output_labels": (0, 10)}, "Expected 2 channels.*runs/contrast"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(contrast_run, change, message):
    scan = Volume(np.ones((8, 8, 8), np.float32) * np.arange(8), np.eye(4))
    with pytest.raises(ValueError, match=message):
        segment(scan, type(contrast_run)(**(vars(contrast_run) | change)))


def test_a_network_alone_is_refused():
    scan = Volume(np.ones((8, 8, 8), np.float32), np.eye(4))
    with pytest.raises(ValueError, match=r"`model` must be a training run.*Received: model=<Funct"):
        segment(scan, constant_network())


def test_several_frames_are_refused(contrast_run):
    frames = Volume(np.zeros((8, 8, 8, 3), np.float32), np.eye(4), ndim=3)
    with pytest.raises(ValueError, match=r"array: expected one frame. Received: \(8, 8, 8, 3\)"):
        segment(frames, contrast_run)


@pytest.fixture(scope="module")
def pooled_run():
    """A run of a network with two levels, whose labels depend on statistics of the image."""
    import keras

    from synthtf.data.label_table import LabelTable
    from synthtf.networks import UNetConfig, unet

    keras.utils.set_random_seed(2)
    network = unet(3, config=UNetConfig(features=3, levels=2, convolutions=1, mixture_channels=1))
    return types.SimpleNamespace(
        folder="runs/pooled",
        task="segmentation",
        spacing=(1.0, 1.0, 1.0),
        shape=(64, 64, 64),
        multiple=2,
        table=LabelTable.from_labels([0, 10, 20]),
        metadata={},
        output_labels=(0, 10, 20),
        output_pairs=(),
        volume_shares={},
        task_model=network,
    )


def test_patches_give_the_labels_of_the_whole_scan(pooled_run):
    scan, _ = phantom("LPS", (1.5, 1.5, 1.5))
    whole = segment(scan, pooled_run, cleaning=None, flip=False)
    budget = MemoryBudget(patch=(24, 32, 40))
    found = segment(scan, pooled_run, cleaning=None, flip=False, budget=budget)
    assert len(np.unique(whole.labels.data)) == 3
    assert np.mean(found.labels.data != whole.labels.data) < 0.001
    assert found.volumes == pytest.approx(whole.volumes, rel=5e-3)


def test_a_scan_that_does_not_fit_is_refused_before_any_prediction(pooled_run):
    scan, _ = phantom()
    fields = vars(pooled_run) | {"task_model": None}
    with pytest.raises(ValueError, match=r"0.001 GB are too little"):
        segment(scan, types.SimpleNamespace(**fields), budget=MemoryBudget(gigabytes=0.001))


def test_exhausted_memory_is_said_with_the_way_out(pooled_run, monkeypatch):
    def exhaust(*_):
        raise MemoryError

    monkeypatch.setattr("synthtf.inference.prediction._compiled", lambda network: exhaust)
    with pytest.raises(MemoryError, match=r"out of memory: \d+ x .* \(--patch \d+\)"):
        segment(phantom()[0], pooled_run)


@pytest.mark.parametrize("spacing", [0.2, 10.0])
def test_unlikely_voxels_are_a_warning(contrast_run, spacing):
    data = np.zeros((20, 20, 20), np.float32)
    data[5:15, 5:15, 5:15] = 1
    scan = Volume(data, np.diag([spacing, 2, 2, 1]), path="scans/odd.nii.gz")
    message = rf"scans/odd.nii.gz: voxels of {spacing:g} x 2 x 2 mm, and the network works at 1 x"
    with pytest.warns(UserWarning, match=message):
        segment(scan, contrast_run)


def test_the_scan_itself_sharpens_posteriors(contrast_run):
    """Intensities do not move the border between dark and bright away from the truth."""
    scan, labels = phantom()
    found = {
        refine: segment(scan, contrast_run, refine=refine, posteriors=True)
        for refine in (True, False)
    }
    score = {refine: dice(found[refine].labels.data == 20, labels == 20) for refine in found}
    assert score[True] >= score[False] > 0.9
    sure = {refine: found[refine].posteriors.data.max(-1).mean() for refine in found}
    assert sure[True] > sure[False]


@pytest.mark.parametrize("spacing", [(0.7, 0.8, 0.7), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0)])
def test_refined_posteriors_agree_with_the_labels(contrast_run, spacing):
    scan, _ = phantom(spacing=spacing)
    found = segment(scan, contrast_run, posteriors=True)
    np.testing.assert_allclose(found.posteriors.data.sum(-1), 1, atol=1e-4)
    best = np.array(contrast_run.output_labels)[found.posteriors.data.argmax(-1)]
    assert np.mean(best != found.labels.data) < 1e-3


def test_uncertainty_of_known_posteriors(contrast_run):
    """Voxels halfway between two intensities are either label; the others are sure."""
    scan, _ = phantom()
    data = scan.data.copy()
    middle = tuple(n // 2 for n in data.shape)
    data[middle] = 0.75
    options = {"uncertainty": True, "refine": False, "cleaning": None}
    found = segment(dataclasses.replace(scan, data=data), contrast_run, **options)
    entropy, variance = np.moveaxis(found.uncertainty.data, -1, 0)
    assert entropy.shape == scan.data.shape and found.uncertainty.ndim == 3
    assert entropy[middle] == pytest.approx(np.log(2) / np.log(3), abs=0.01)
    assert entropy[2, 2, 2] < 1e-3 and entropy.min() >= 0 and entropy.max() <= 1
    np.testing.assert_allclose(variance, 0, atol=1e-5)  # intensities have no side
    for label, volume in found.volumes.items():
        low, high = found.intervals[label]
        assert low < volume < high
    assert found.intervals.keys() == {0, *found.volumes}
    single = segment(scan, contrast_run, flip=False, uncertainty=True)
    assert single.uncertainty.data.shape == scan.data.shape
    plain = segment(scan, contrast_run)
    assert plain.uncertainty is None and plain.intervals is None


@pytest.mark.filterwarnings("ignore::synthtf.inference.CautionWarning")
def test_variance_over_the_flip(side_run):
    """A network whose sides are not those of its pairs contradicts itself in the mirror image."""
    scan, _ = phantom(offset=0.1)
    options = {"uncertainty": True, "refine": False, "cleaning": None}
    agreed = segment(scan, side_run, **options)
    side_run.output_pairs = ()
    contradicted = segment(scan, side_run, **options)
    inside = contradicted.labels.data > 0
    assert np.median(agreed.uncertainty.data[inside, 1]) < 1e-3
    assert np.median(contradicted.uncertainty.data[inside, 1]) == pytest.approx(0.5, abs=1e-3)
    assert np.median(contradicted.uncertainty.data[inside, 0]) == pytest.approx(
        np.log(2) / np.log(3), abs=1e-3
    )
    low, high = contradicted.intervals[10]
    assert low < 0.01 * high and high == pytest.approx(2 * contradicted.volumes[10], rel=0.01)


def test_an_ensemble_averages_posteriors(contrast_run):
    """The variance is that over all networks, and each widens the intervals."""
    inputs = keras.Input((None, None, None, 1))
    centres = np.array([0.0, 0.4, 0.9], np.float32)
    other = keras.Model(inputs, keras.ops.softmax(-20 * (inputs - centres) ** 2))
    runs = [contrast_run, type(contrast_run)(**(vars(contrast_run) | {"task_model": other}))]
    scan, _ = phantom()
    noise = np.random.default_rng(0).normal(0, 1e-4, scan.data.shape)
    scan = Volume(scan.data + noise.astype("float32"), scan.affine)  # nothing is cut away
    options = {"refine": False, "cleaning": None, "flip": False, "posteriors": True}
    singles = [segment(scan, run, **options) for run in runs]
    found = segment(scan, runs, uncertainty=True, **options)
    posteriors = np.stack([single.posteriors.data for single in singles])
    np.testing.assert_allclose(found.posteriors.data, posteriors.mean(0), atol=1e-5)
    variance = found.uncertainty.data[..., 1]
    np.testing.assert_allclose(variance, posteriors.var(0).sum(-1), atol=1e-4)
    assert variance.max() > 0.01
    low, high = found.intervals[10]
    assert all(low <= single.volumes[10] <= high for single in singles)
    strange = type(contrast_run)(**(vars(contrast_run) | {"output_labels": (0, 10, 21)}))
    with pytest.raises(ValueError, match="must be runs of the same output_labels"):
        segment(scan, [contrast_run, strange])


@pytest.mark.parametrize("conformed", [False, True])
def test_lesions_and_what_lies_within_the_skull(contrast_run, conformed):
    names = ("background", "CSF around the brain", "lesion")
    table = contrast_run.table
    brain = ("no", "csf", "yes")
    contrast_run.table = dataclasses.replace(table, names=names, brain=brain, groups=names)
    scan, _ = phantom("LIA", spacing=(1.0, 1.5, 1.2))
    found = segment(scan, contrast_run, lesions=True, posteriors=True, conformed=conformed)
    np.testing.assert_allclose(found.lesions.data, found.posteriors.data[..., 2], atol=1e-4)
    assert found.lesions.data.shape == found.labels.data.shape
    assert found.num_lesions == 1
    assert found.intracranial == pytest.approx(sum(found.volumes.values()))
    contrast_run.table = dataclasses.replace(contrast_run.table, brain=("no", "no", "yes"))
    assert segment(scan, contrast_run).intracranial is None


def test_refuses_lesions_of_a_network_that_knows_none(contrast_run):
    with pytest.raises(ValueError, match="runs/contrast: has no label for lesions"):
        segment(phantom()[0], contrast_run, lesions=True)
    assert segment(phantom()[0], contrast_run).num_lesions is None
