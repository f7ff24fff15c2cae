"""The idioms of Keras on combined models: they work, or are refused by name."""

import keras
import numpy as np
import pytest
from small_model import Small, small_maps, small_model


@pytest.fixture
def model():
    model = small_model()
    model.compile(keras.optimizers.Adam(0.01))
    return model


def fit(model, maps, **options):
    """The numbers of the samples that a training sees."""
    before = len(model.numbers)
    model.fit(maps, **{"shuffle": False, "verbose": 0} | options)
    return model.numbers[before:]


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_an_epoch_has_as_many_steps_as_one_asks_for(model, steps):
    """As data sets of so many batches have, with no number twice, in one call and the next."""
    expected = fit(model, small_maps(3, num_batches=steps, batch_size=2), epochs=3)
    maps = small_maps(3, batch_size=2)
    found = fit(model, maps, epochs=3, steps_per_epoch=steps)
    assert found == expected == list(range(2 * steps, 8 * steps))
    assert len(maps) == 2
    found += fit(model, maps)
    found += fit(model, maps, epochs=2, steps_per_epoch=steps)
    found += fit(model, maps, steps_per_epoch=steps + 1)
    assert len(found) == 2 * (3 * steps + 2 + 2 * steps + steps + 1) == len(set(found))
    again = fit(model, small_maps(3, initial_epoch=1), epochs=3, initial_epoch=1, steps_per_epoch=7)
    assert again == list(range(14, 28))


def test_validation_has_as_many_steps_as_one_asks_for(model):
    maps = small_maps(2, initial_epoch=None)
    options = {"validation_data": maps, "validation_steps": 4, "epochs": 2}
    found = fit(model, small_maps(), steps_per_epoch=2, **options)
    assert found == [2, 3, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    assert set(model.history.history) == {"loss", "val_loss"}
    assert fit(model, small_maps(), validation_data=(maps,)) == [1, 0, 1]


def test_evaluate_and_predict_on_label_maps(model):
    loss = model.evaluate(small_maps(initial_epoch=None), steps=3, verbose=0)
    assert loss == model.evaluate(small_maps(num_batches=3, initial_epoch=None), verbose=0)
    assert model.numbers == [0, 1, 2, 0, 1, 2]
    found = model.predict(small_maps(initial_epoch=None), steps=3, verbose=0)
    assert found["found"].shape == (3, 8, 8, 1)


WEIGHTS = np.zeros(1)


@pytest.mark.parametrize(
    ("method", "options", "name"),
    [
        ("fit", {"y": WEIGHTS}, "y"),
        ("fit", {"sample_weight": WEIGHTS}, "sample_weight"),
        ("fit", {"class_weight": {0: 0.0}}, "class_weight"),
        ("fit", {"validation_data": (small_maps(), WEIGHTS)}, "validation_data"),
        ("evaluate", {"y": WEIGHTS}, "y"),
        ("evaluate", {"sample_weight": WEIGHTS}, "sample_weight"),
        ("train_on_batch", {"y": WEIGHTS}, "y"),
        ("train_on_batch", {"sample_weight": WEIGHTS}, "sample_weight"),
        ("train_on_batch", {"class_weight": {0: 0.0}}, "class_weight"),
        ("test_on_batch", {"sample_weight": WEIGHTS}, "sample_weight"),
        ("compile", {"loss": "mse"}, "loss"),
        ("compile", {"metrics": ["mae"]}, "metrics"),
        ("compile", {"loss_weights": [1.0]}, "loss_weights"),
        ("compile", {"weighted_metrics": ["mae"]}, "weighted_metrics"),
    ],
)
def test_what_would_have_no_effect_is_refused(model, method, options, name):
    x = () if method == "compile" else (small_maps()[0][0],)
    with pytest.raises(ValueError, match=f"`{name}` must be left out") as error:
        getattr(model, method)(*x, **options)
    assert "\n" not in str(error.value)


def test_a_backup_keeps_optimizer_and_numbers(tmp_path):
    """The steps after it are those of a training that nothing interrupted."""

    def train(epochs, folder, model=None):
        model = model or small_model()
        model.compile(keras.optimizers.Adam(0.01))
        backup = keras.callbacks.BackupAndRestore(folder, delete_checkpoint=False)
        found = fit(model, small_maps(), epochs=epochs, steps_per_epoch=3, callbacks=[backup])
        return found, model

    numbers, whole = train(4, tmp_path / "whole")
    before, _ = train(2, tmp_path / "parts")
    after, model = train(4, tmp_path / "parts")
    assert before + after == numbers
    for found, expected in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert fit(model, small_maps()) == [1]


def test_a_copy_keeps_its_objective_or_is_refused(model):
    with pytest.raises(ValueError, match=r"call Small\.from_config\(model\.get_config\(\)\)"):
        keras.models.clone_model(model)
    copy = Small.from_config(model.get_config())
    copy.compile("sgd")
    assert fit(copy, small_maps()) == [1]
    network = keras.models.clone_model(model.task_model)
    assert network.count_params() == model.task_model.count_params()


def test_standard_callbacks(model, tmp_path):
    """The best network is kept and loads, and the training ends when it no longer learns."""
    path = tmp_path / "best.keras"
    callbacks = [
        keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=0, min_delta=100),
    ]
    options = {"validation_data": small_maps(initial_epoch=None), "callbacks": callbacks}
    fit(model, small_maps(), epochs=5, **options)
    assert len(model.history.history["loss"]) == 2
    best = keras.models.load_model(path)
    for found, expected in zip(best.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_seed_of_keras_decides_the_initial_weights():
    first, second = (small_model().task_model.get_weights()[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
