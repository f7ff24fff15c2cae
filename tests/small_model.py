"""A combined model that learns at once, for what training does around a model."""

import keras
import numpy as np

from synthtf.data import LabelMaps
from synthtf.layers import RandomIntensity
from synthtf.synthesis import Recipe
from synthtf.training.combined import CombinedModel

RECIPE = Recipe([RandomIntensity()])
SHAPE, LABELS = (8, 8), [0, 2]


@keras.saving.register_keras_serializable(package="tests")
class Small(CombinedModel):
    """Learns without making a graph, which takes most of the time of a short training."""

    warm_up = 1
    spoil = ()  # steps that end with a loss that is not finite

    @staticmethod
    def connect(samples, network):
        return {"found": network(samples["image"]), "labels": samples["labels"]}

    def objective(self, outputs):
        target = keras.ops.cast(outputs["labels"], "float32")
        error = keras.ops.mean(keras.ops.square(outputs["found"] - target))
        bad = int(self.optimizer.iterations) in self.spoil
        return error * np.nan if bad else error + 0.1 * self.warming_up

    def compile(self, optimizer="sgd", loss=None, **kwargs):
        super().compile(optimizer, loss, **kwargs | {"jit_compile": False})
        self.run_eagerly = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.numbers = []

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if hasattr(x["key"], "numpy"):
            self.numbers += x["key"].numpy()[:, 1].tolist()
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def small_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 1))
    network = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    return Small(RECIPE.build(SHAPE, LABELS), network)


def small_maps(num=1, **options):
    image = np.zeros(SHAPE, "int32")
    image[2:6, 2:6] = 2
    return LabelMaps([image] * num, seed=3, **options)
