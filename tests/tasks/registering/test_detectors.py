"""Detectors that begin as a segmentation, and detectors that stay as they are."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from synthtf.layers import RandomIntensity
from synthtf.networks import DetectorConfig, RegistrationConfig, UNetConfig
from synthtf.runs import Run
from synthtf.tasks import RegistrationTask, SegmentationTask
from synthtf.tasks.registering.detectors import detector_of, detector_weights
from synthtf.training import Schedule
from synthtf.training.plan import TrainingPlan
from synthtf.training.workflow import train_run

NETWORK = UNetConfig(features=2, levels=2, mixture_channels=2)
DETECTOR = DetectorConfig(4, NETWORK, halve=False)
UNET = RegistrationConfig(encoder=(4,), decoder=(4, 4), detector=DETECTOR)
TABLE = """id\tname\tbrain
0\tair\tno
2\twhite matter\tyes
7\tskull\tno
24\tCSF\tcsf
41\tcortex\tyes
"""
SIDES = """id\tname\tbrain
0\tair\tno
2\tleft matter\tyes
7\tskull\tno
24\tmedulla\tyes
41\tright matter\tyes
"""


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "labels.tsv").write_text(TABLE)
    (folder / "sides.tsv").write_text(SIDES)
    labels = np.zeros((24, 24), "int32")
    labels[4:20, 4:20] = 7
    labels[5:19, 5:19] = 24
    labels[7:17, 7:17] = 41
    labels[9:15, 9:15] = 2

    def train(name, task, table="labels.tsv", epochs=1, **options):
        plan = TrainingPlan(
            labels=folder / table,
            recipe=[RandomIntensity()],
            task=task,
            shape=(16, 16),
            steps_per_epoch=1,
            **options,
        )
        schedule = Schedule(epochs, learning_rate=1e-9, check_every=0)
        return train_run([labels, labels[::-1].copy()], folder / name, plan, schedule, verbose=0)

    return train


@pytest.fixture(scope="module")
def segmentation(train):
    return train("segmentation", SegmentationTask(NETWORK))


@pytest.fixture(scope="module")
def affine(train, segmentation):
    plan = RegistrationTask("affine", network=DETECTOR, landmarks=1.0)
    return train("affine", plan, start=segmentation.folder)


def test_a_detector_begins_as_a_segmentation(segmentation, affine):
    """Its maps are squared posteriors, those of the brain first: 2, 41, then 7 and 24."""
    image = np.random.default_rng(0).random((1, 16, 16, 1), "float32")
    posteriors = segmentation.task_model.predict_on_batch(image)
    assert segmentation.output_labels == (0, 2, 7, 24, 41)
    maps = affine.task_model.get_layer("detector").predict_on_batch(image)
    np.testing.assert_allclose(maps, posteriors[..., [1, 4, 2, 3]] ** 2, atol=1e-3)
    assert maps.max() > 0.05
    assert affine.output_labels == (0, 2, 41)


@pytest.mark.slow
@pytest.mark.parametrize("mixture", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_so_does_one_with_a_side_channel(train, mixture):
    network = UNetConfig(features=2, levels=2, mixture_channels=mixture)
    run = train(f"sides_{mixture}", SegmentationTask(network), "sides.tsv")
    config = detector_of(run)
    assert config == DetectorConfig(4, network, halve=False, competing=True, pairs=((0, 2),))
    assert DetectorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    plan = RegistrationTask("affine", network=config)
    affine = train(f"affine_{mixture}", plan, "sides.tsv", start=run.folder)
    image = np.random.default_rng(0).random((1, 16, 16, 1), "float32")
    posteriors = run.task_model.predict_on_batch(image)
    maps = affine.task_model.get_layer("detector").predict_on_batch(image)
    assert run.output_labels == (0, 2, 7, 24, 41)
    np.testing.assert_allclose(maps, posteriors[..., [1, 3, 4, 2]] ** 2, atol=1e-3)
    assert detector_of(affine) == config


def test_a_linear_registration_takes_the_size_of_a_segmentation_that_it_begins_as(segmentation):
    default = RegistrationTask("affine", features=8)
    assert default.starting_from(segmentation).network == detector_of(segmentation)
    for other in (RegistrationTask("affine", network=DETECTOR), RegistrationTask()):
        assert other.starting_from(segmentation) == other


def test_a_segmentation_is_a_detector(train, segmentation):
    plan = RegistrationTask("deformable", detector=segmentation.folder)
    assert plan.network.detector == dataclasses.replace(DETECTOR, competing=True)
    maps = train("segmented", plan).task_model.get_layer("detector")
    image = np.random.default_rng(0).random((1, 16, 16, 1), "float32")
    posteriors = segmentation.task_model.predict_on_batch(image)
    expected = posteriors[..., [1, 4, 2, 3]] ** 2
    np.testing.assert_allclose(maps.predict_on_batch(image), expected, atol=1e-5)


def test_a_given_detector_stays_as_it_is(train, affine):
    before = affine.task_model.get_layer("detector").get_weights()
    plan = RegistrationTask("deformable", network=UNET, detector=affine.folder)
    keras.utils.set_random_seed(0)
    run = train("deformable", plan)
    assert run.metadata["detector"] == "affine"
    detector = Run.load(run.folder).task_model.get_layer("detector")
    for old, new in zip(before, detector.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_a_network_goes_on_with_another_detector(train, segmentation):
    """Only what compares the features begins as the other run ended."""
    plan = RegistrationTask("deformable", network=UNET, detector=segmentation.folder)
    keras.utils.set_random_seed(1)
    first = train("unaware", RegistrationTask("deformable", network=UNET))
    second = train("aware", plan, epochs=0, start=first.folder)
    assert (second.metadata["steps_done"], second.metadata["epochs_done"]) == (0, 0)
    for layer in Run.load(second.folder).task_model.layers:
        detects = layer.name == "detector"
        old = (detector_weights(segmentation) if detects else None) or (
            first.task_model.get_layer(layer.name).get_weights()
        )
        for a, b in zip(old, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_its_size_is_that_of_the_run(affine):
    assert RegistrationTask("deformable", detector=affine.folder).network.detector == DETECTOR


@pytest.mark.slow
def test_refuses_what_has_no_detector(train, segmentation, affine):
    with pytest.raises(ValueError, match="or a registration of the kind affine or rigid"):
        detector_of(train("plain", RegistrationTask("deformable")))
    wider = RegistrationTask("affine", network=DetectorConfig(5, NETWORK, halve=False))
    for start in (segmentation, affine):
        with pytest.raises(ValueError, match="has another network"):
            train("wider", wider, start=start.folder)
