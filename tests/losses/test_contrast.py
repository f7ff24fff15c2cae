import numpy as np
import pytest
from keras import ops

from synthtf.losses import contrastive_loss, similarities


def reference(features, classes, temperature):
    """Equation 2 of Khosla et al., anchor by anchor."""
    losses = []
    for rows, labels in zip(features.astype("float64"), classes, strict=True):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        of_anchors = []
        for i in range(len(unit)):
            others = [a for a in range(len(unit)) if a != i]
            total = sum(np.exp(unit[i] @ unit[a] / temperature) for a in others)
            positives = [p for p in others if labels[p] == labels[i]]
            if positives:
                shares = [np.exp(unit[i] @ unit[p] / temperature) / total for p in positives]
                of_anchors.append(-np.mean(np.log(shares)))
        losses.append(np.mean(of_anchors) if of_anchors else 0.0)
    return losses


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_loss_is_that_of_the_paper(temperature):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 12, 5)).astype("float32")
    classes = rng.integers(0, 5, (3, 12)).astype("int32")
    classes[2] = np.arange(12)  # no voxel has another of its class
    found = ops.convert_to_numpy(contrastive_loss(features, classes, temperature))
    np.testing.assert_allclose(found, reference(features, classes, temperature), rtol=1e-4)
    assert found[2] == 0
    longer = ops.convert_to_numpy(contrastive_loss(7 * features, classes, temperature))
    np.testing.assert_allclose(longer, found, rtol=1e-4)


def test_gradients_draw_a_class_together(gradient):
    rows = np.array([[[1, 0.1], [0.2, 1], [0.8, -0.3], [-1, 0.4]]], "float32")
    classes = np.array([[0, 0, 1, 1]])
    slope = gradient(lambda x: ops.sum(contrastive_loss(x, classes, 0.5)), rows)
    before, after = (ops.convert_to_numpy(similarities(x))[0] for x in (rows, rows - 0.05 * slope))
    assert np.isfinite(slope).all()
    assert after[0, 1] > before[0, 1] and after[2, 3] > before[2, 3]


def test_what_does_not_fit_is_refused():
    rows = np.ones((1, 4, 2), "float32")
    with pytest.raises(ValueError, match="`temperature` must be above 0"):
        contrastive_loss(rows, np.zeros((1, 4), "int32"), 0)
    with pytest.raises(ValueError, match="`features` must have the shape"):
        contrastive_loss(rows, np.zeros((1, 4, 1), "int32"))
