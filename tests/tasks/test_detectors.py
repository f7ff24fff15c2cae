"""Detectors that begin as a segmentation, and detectors that stay as they are."""

import keras
import numpy as np
import pytest

from synthtf.networks import DetectorConfig, RegistrationConfig, UNetConfig
from synthtf.tasks import Run, Schedule
from synthtf.tasks.plans import RegistrationPlan, SegmentationPlan
from synthtf.tasks.workflow import TrainingPlan, train_run

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


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    (folder / "labels.tsv").write_text(TABLE)
    labels = np.zeros((24, 24), "int32")
    labels[4:20, 4:20] = 7
    labels[5:19, 5:19] = 24
    labels[7:17, 7:17] = 41
    labels[9:15, 9:15] = 2

    def train(name, task, **options):
        plan = TrainingPlan(
            labels=folder / "labels.tsv",
            recipe="tutorial",
            task=task,
            shape=(16, 16),
            steps_per_epoch=1,
            **options,
        )
        schedule = Schedule(epochs=1, learning_rate=1e-9, check_every=0)
        return train_run([labels, labels[::-1].copy()], folder / name, plan, schedule, verbose=0)

    return train


@pytest.fixture(scope="module")
def segmentation(train):
    return train("segmentation", SegmentationPlan(NETWORK))


@pytest.fixture(scope="module")
def affine(train, segmentation):
    plan = RegistrationPlan("affine", network=DETECTOR, landmarks=1.0)
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


def test_a_given_detector_stays_as_it_is(train, affine):
    before = affine.task_model.get_layer("detector").get_weights()
    plan = RegistrationPlan("deformable", network=UNET, detector=affine.folder)
    keras.utils.set_random_seed(0)
    run = train("deformable", plan)
    assert run.metadata["detector"] == "affine"
    detector = Run.load(run.folder).task_model.get_layer("detector")
    for old, new in zip(before, detector.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_its_size_is_that_of_the_run(affine):
    assert RegistrationPlan("deformable", detector=affine.folder).network.detector == DETECTOR


def test_refuses_what_has_no_detector(train, segmentation, affine):
    with pytest.raises(ValueError, match="expected a registration of the kind affine or rigid"):
        RegistrationPlan("deformable", detector=segmentation.folder)
    wider = RegistrationPlan("affine", network=DetectorConfig(5, NETWORK, halve=False))
    for start in (segmentation, affine):
        with pytest.raises(ValueError, match="has another network"):
            train("wider", wider, start=start.folder)
