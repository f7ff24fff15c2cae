import numpy as np
import pytest

from synthtf.layers import RandomDeface
from synthtf.testing import RandomLayerContract, check_mean, make_keys, repeat, to_arrays


class TestRandomDeface(RandomLayerContract):
    layer = RandomDeface
    kind = "both"
    arguments = {"labels": (2, 2035), "margin": (0, 1), "fill": (0.2, 0.5)}
    variants = [{"fill": 0, "orientation": "LIA", "roughness": 3}]
    # A plane that no voxel of these small volumes lies beyond.
    identity_arguments = {"margin": 100}
    invalid = [
        ({"labels": ()}, "`labels` must be labels, whole numbers from 1, at least one"),
        ({"labels": (0, 3)}, "whole numbers from 1"),
        ({"margin": -1}, "`margin` must lie in"),
        ({"angle": 91}, "`angle` must lie in"),
        ({"roughness": (2, 1)}, "low <= high"),
        ({"fill": 1.5}, "`fill` must lie in"),
        ({"orientation": "RAL"}, "`orientation` must name each axis once"),
        ({"orientation": "xyz"}, "`orientation` must name each axis once"),
        ({"spacing": 0}, "`spacing` must be positive"),
    ]

    def make_inputs(self, ndim):
        (image, labels), key = super().make_inputs(ndim)
        # Brain on top, in the back, for either orientation.
        labels[:, 3:], labels[:, :, 3:] = 0, 0
        labels[:, :, :, :3] = 0 if ndim == 3 else labels[:, :, :, :3]
        return [image, labels], key

    def pytest_generate_tests(self, metafunc):
        """Faces are a matter of volumes."""
        if "ndim" not in metafunc.fixturenames:
            return super().pytest_generate_tests(metafunc)
        metafunc.parametrize("ndim", [3])
        if "variant" in metafunc.fixturenames:
            metafunc.parametrize("variant", [{}, *self.variants], ids=str)

    def expected_identity(self, inputs):
        return inputs[0]


def head(*shape):
    """A brain of label 3 in the upper back of a volume in RAS orientation."""
    labels = np.ones((1, *shape, 1), "int32")
    labels[:, 3:-3, 2 : shape[1] // 2, shape[2] // 2 : -2] = 3
    image = np.random.default_rng(0).uniform(0.5, 1, labels.shape).astype("float32")
    return image, labels


def deface(image, labels, **arguments):
    layer = RandomDeface(labels=[3], **{"roughness": 0, "margin": 1, **arguments})
    return to_arrays(layer([image, labels], make_keys(len(image))))[0]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 2.0, 1.5)])
@pytest.mark.parametrize("angle", [0, 35, 60, 90])
def test_removes_what_lies_beyond_a_plane_near_the_brain(angle, spacing):
    image, labels = head(12, 16, 14)
    out = deface(image, labels, angle=angle, margin=2.3, spacing=spacing)
    _, y, z = np.meshgrid(
        *(mm * np.arange(n) for n, mm in zip((12, 16, 14), spacing, strict=True)), indexing="ij"
    )
    forward = np.cos(np.deg2rad(angle)) * y - np.sin(np.deg2rad(angle)) * z
    furthest = forward[labels[0, ..., 0] == 3].max()
    removed = forward > furthest + 2.3 + 1e-4
    assert removed.any() and not removed.all()
    np.testing.assert_array_equal(out[0, ..., 0], np.where(removed, 0, image[0, ..., 0]))


def test_other_orientations_remove_the_same_face():
    """RAS volumes, with axes reversed and in another order."""
    image, labels = head(12, 16, 14)
    ras = deface(image, labels, angle=40)
    lia = [x[:, ::-1, :, ::-1].transpose(0, 1, 3, 2, 4) for x in (image, labels)]
    out = deface(*lia, angle=40, orientation="LIA")
    np.testing.assert_array_equal(out.transpose(0, 1, 3, 2, 4)[:, ::-1, :, ::-1], ras)


@pytest.mark.parametrize("fill", [0, 0.4])
def test_brain_is_kept_and_the_face_becomes_noise(fill):
    image, labels = (repeat(x, 50) for x in head(12, 16, 14))
    out = deface(image, labels, margin=(0, 3), angle=(0, 90), roughness=(0, 6), fill=fill)
    np.testing.assert_array_equal(out[labels == 3], image[labels == 3])
    changed = (out != image).reshape(50, -1)
    assert changed.any(1).all()
    removed = [x[c] for x, c in zip(out.reshape(50, -1), changed, strict=True)]
    assert max(x.max() for x in removed) <= fill
    if fill:
        check_mean([x.mean() for x in removed], fill * image.max() / 2)


def test_rough_surfaces_remove_less_and_not_along_a_plane():
    image, labels = (repeat(x, 20) for x in head(12, 16, 14))
    flat, rough = (deface(image, labels, angle=0, roughness=mm) == 0 for mm in (0, 5))
    assert (flat | ~rough).all()
    depth = rough.sum(2)
    assert all(np.ptp(flat.sum(2)[row]) == 0 < np.ptp(depth[row]) for row in range(20))


def test_without_brain_the_face_stays():
    image, labels = head(10, 10, 10)
    np.testing.assert_array_equal(deface(image, np.ones_like(labels)), image)


def test_sagittal_slices():
    image, labels = head(9, 12, 10)
    out = deface(image[:, 4], labels[:, 4], angle=30, orientation="AS")
    np.testing.assert_array_equal(out, deface(image, labels, angle=30)[:, 4])


def test_refuses_an_orientation_of_another_rank():
    image, labels = head(9, 9, 9)
    with pytest.raises(ValueError, match="one letter per axis"):
        deface(image, labels, orientation="AS")


def test_plane_is_uniform():
    layer = RandomDeface(labels=[3], margin=(0, 10), angle=(20, 70))
    draws = layer.sample(make_keys(200), (200, 4, 4, 4, 1))
    check_mean(to_arrays(draws["margin"])[0], 5)
    check_mean(to_arrays(draws["angle"])[0], 45)
