import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps, LabelTable
from synthtf.layers import AverageDown, SynthesisLayer
from synthtf.losses import LogitsL2, SoftDice
from synthtf.networks import RegistrationConfig, UNetConfig
from synthtf.ops.labels import label_index
from synthtf.synthesis import Recipe
from synthtf.tasks import registration, segmentation, skull_stripping

TINY = UNetConfig(features=4, levels=2)
EASY = (
    Recipe.preset("tutorial")
    .without("warp", "field_of_view")
    .change("affine", translation=(-1, 1), rotation=(-10, 10))
    .change("intensity", background_probability=0)
)
SHAPES = {2: (16, 12), 3: (8, 12, 10)}
tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel is TensorFlow's"
)


def boxes(ndim, **options):
    """Maps of a box of label 7 inside one of label 2035, each of another size."""
    maps = []
    for size in (3, 4, 5):
        labels = np.zeros(SHAPES[ndim], "int32")
        labels[tuple(slice(1, n - 1) for n in labels.shape)] = 2035
        labels[(slice(2, size + 2),) * ndim] = 7
        maps.append(labels)
    return LabelMaps(maps, **options)


def make(ndim, **options):
    return segmentation(SHAPES[ndim], [0, 7, 2035], recipe=EASY, network=TINY, **options)


@pytest.mark.parametrize("ndim", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_learns_from_label_maps_alone(ndim):
    keras.utils.set_random_seed(0)
    model = make(ndim)
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit(boxes(ndim, num_batches=15), epochs=4, verbose=0, shuffle=False).history
    assert history["loss"][-1] < 0.8 * history["loss"][0]
    assert history["dice"][-1] > history["dice"][0]
    results = model.evaluate(boxes(ndim), verbose=0, return_dict=True)
    assert set(results) == {"loss", "dice"}


def test_labels_count_by_their_weights(tmp_path):
    (tmp_path / "labels.tsv").write_text("id\tname\tweight\n0\tnone\t-\n7\ta\t8\n2035\tb\t-\n")
    table = LabelTable.read(tmp_path / "labels.tsv")
    model = segmentation(SHAPES[2], table, recipe=EASY, network=TINY)
    assert model.segmentation_loss.get_config()["class_weights"] == (1, 8, 1)
    with pytest.raises(ValueError, match="loss cross-entropy knows no weights of labels"):
        segmentation(SHAPES[2], table, recipe=EASY, network=TINY, loss="cross-entropy")


def test_summary_shows_both_models(capsys):
    make(2).summary(line_length=120)
    text = capsys.readouterr().out
    assert "synthesis" in text and "unet" in text


def test_synthesis_and_task_model_are_handed_out(tmp_path):
    model = make(3)
    batch = boxes(3, batch_size=2)[0][0]
    samples = model.synthesis(batch)
    assert tuple(samples["image"].shape) == (2, *SHAPES[3], 1)
    assert set(np.unique(ops.convert_to_numpy(samples["labels"]))) <= {0, 7, 2035}
    layers = model.task_model._flatten_layers()
    assert not any(isinstance(layer, SynthesisLayer) for layer in layers)
    image = np.random.default_rng(0).uniform(size=(1, 12, 8, 6, 1)).astype("float32")
    expected = ops.convert_to_numpy(model.task_model(image))
    assert expected.shape == (1, 12, 8, 6, 3)
    np.testing.assert_allclose(expected.sum(-1), 1, atol=1e-5)

    model.task_model.save(tmp_path / "task.keras")
    again = keras.models.load_model(tmp_path / "task.keras")
    np.testing.assert_array_equal(ops.convert_to_numpy(again(image)), expected)
    model.task_model.save_weights(tmp_path / "task.weights.h5")
    other = make(3).task_model
    other.load_weights(tmp_path / "task.weights.h5")
    np.testing.assert_array_equal(ops.convert_to_numpy(other(image)), expected)


@tensorflow_only
def test_exports_with_dynamic_shapes(tmp_path):
    import tensorflow as tf

    model = make(3)
    model.task_model.export(tmp_path / "saved", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved")
    for shape in ((1, 8, 12, 10, 1), (2, 6, 4, 16, 1)):
        image = np.random.default_rng(0).uniform(size=shape).astype("float32")
        expected = ops.convert_to_numpy(model.task_model(image))
        np.testing.assert_allclose(saved.serve(image).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "loss", ["dice+cross-entropy", pytest.param("cross-entropy", marks=pytest.mark.slow)]
)
def test_combined_model_reloads(loss, tmp_path):
    model = make(2, loss=loss)
    model.compile("adam")
    model.fit(boxes(2), verbose=0)
    batch = boxes(2)[0][0]
    expected = model(batch)
    model.save(tmp_path / "combined.keras")
    again = keras.models.load_model(tmp_path / "combined.keras")
    assert type(again) is type(model) and again.output_labels == (0, 7, 2035)
    for name, value in again(batch).items():
        np.testing.assert_array_equal(
            ops.convert_to_numpy(value), ops.convert_to_numpy(expected[name])
        )
    assert again.get_config()["loss"] == model.get_config()["loss"]


def test_cross_entropy_is_the_mean_over_voxels():
    model = make(2, loss="cross-entropy")
    batch = boxes(2)[0][0]
    outputs = model(batch)
    index = label_index(outputs["labels"][..., 0], model.output_labels)
    chosen = ops.take_along_axis(outputs["posteriors"], index[..., None], axis=-1)
    expected = -float(ops.mean(ops.log(chosen)))
    assert float(model.objective(outputs)) == pytest.approx(expected, rel=1e-5)


def test_standard_callbacks_and_steps(tmp_path):
    model = make(2)
    model.compile("adam")
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss"),
        keras.callbacks.EarlyStopping(monitor="loss", patience=5),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
    ]
    maps = boxes(2, num_batches=4)
    history = model.fit(maps, epochs=2, steps_per_epoch=2, callbacks=callbacks, verbose=0)
    assert len(history.history["loss"]) == 2
    assert (tmp_path / "best.keras").exists()
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def test_mixed_precision(policy):
    batch = boxes(2)[0][0]
    expected = make(2).synthesis(batch)
    keras.config.set_dtype_policy(policy)
    try:
        model = make(2)
        model.compile("adam")
        loss = model.fit(boxes(2), verbose=0).history["loss"][0]
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(loss)
    assert model.task_model.output.dtype == "float32"
    samples = model.synthesis(batch)
    for name, value in samples.items():
        np.testing.assert_array_equal(
            ops.convert_to_numpy(value), ops.convert_to_numpy(expected[name])
        )


@pytest.mark.slow
def test_compiled_with_xla():
    model = make(2)
    model.compile("adam", jit_compile=True)
    assert np.isfinite(model.fit(boxes(2), verbose=0).history["loss"][0])


def test_an_existing_network_is_trained_further():
    first = make(2)
    second = make(2, loss="dice")
    third = segmentation(SHAPES[2], [0, 7, 2035], network=first.task_model)
    assert third.task_model is first.task_model is not second.task_model


def test_warm_up_uses_the_logits():
    model = make(2, loss="dice")
    outputs = model(boxes(2)[0][0])
    labels = ops.convert_to_numpy(outputs["labels"])[..., 0]
    target = np.stack([labels == label for label in model.output_labels], -1).astype("float32")
    dice = SoftDice()(target, outputs["posteriors"])
    np.testing.assert_allclose(
        ops.convert_to_numpy(model.objective(outputs)), ops.convert_to_numpy(dice), atol=1e-6
    )
    model.warming_up = True
    expected = LogitsL2()(target, outputs["logits"])
    np.testing.assert_allclose(
        ops.convert_to_numpy(model.objective(outputs)), ops.convert_to_numpy(expected), rtol=1e-5
    )


def test_faults_are_named():
    with pytest.raises(ValueError, match="multiple of 2"):
        segmentation((16, 13), [0, 1], network=TINY)
    with pytest.raises(ValueError, match=r"dice\+cross-entropy"):
        make(2, loss="jaccard")


@pytest.mark.parametrize(
    "arguments",
    [
        {"loss": "mse"},
        {"metrics": ["mae"]},
        {"loss_weights": [0.5]},
        {"weighted_metrics": ["mae"]},
    ],
)
def test_what_the_task_decides_on_is_refused_by_compile(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"`{name}` must be left out.*Received"):
        make(2).compile("adam", **arguments)


def test_targets_and_weights_are_refused():
    model = make(2)
    model.compile("adam")
    batch = boxes(2)[0][0]
    ones = np.ones(len(batch["key"]), "float32")
    for name, arguments in {
        "y": {"y": ones},
        "sample_weight": {"sample_weight": ones},
        "class_weight": {"class_weight": {0: 1.0}},
    }.items():
        with pytest.raises(ValueError, match=f"`{name}` must be left out: the targets"):
            model.fit(batch, verbose=0, **arguments)
    for call in (model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match="`y` must be left out"):
            call(batch, ones)
    assert np.isfinite(model.fit(batch, None, 1, verbose=0).history["loss"][0])


@pytest.mark.parametrize("build", [segmentation, skull_stripping, registration])
def test_recipe_and_table_may_be_names_and_paths(build, tmp_path):
    table = LabelTable.from_labels([1, 2])
    table.write(tmp_path / "labels.tsv")
    EASY.save(tmp_path / "easy.json")
    if build is not registration:
        options = {"network": TINY}
    else:
        options = {"network": RegistrationConfig(encoder=(4,), decoder=(4, 4))}

    def layers_of(labels, recipe):
        keras.utils.clear_session()  # which counts Keras' own names from the start
        return build((16, 16), labels, recipe=recipe, **options).synthesis.get_config()

    found = layers_of(str(tmp_path / "labels.tsv"), tmp_path / "easy.json")
    assert found == layers_of(table, EASY)
    assert layers_of(table, "synthseg") == layers_of(table, Recipe.preset("synthseg"))
    with pytest.raises(ValueError, match="nothing: neither a file nor one of the recipes"):
        build((16, 16), table, recipe="nothing", **options)
    with pytest.raises(FileNotFoundError, match=r"gone\.tsv does not exist"):
        build((16, 16), "gone.tsv", **options)
    with pytest.raises(ValueError, match=r"`labels` must be label values.*Received: labels=3"):
        build((16, 16), 3, **options)


@pytest.mark.parametrize("ndim", [2, 3])
def test_learns_the_shares_of_labels_in_larger_voxels(ndim):
    steps = list(EASY)
    made = next(n for n, step in enumerate(steps) if step.name == "intensity")
    recipe = Recipe([*steps[: made + 1], AverageDown(2), *steps[made + 1 :]])
    shape = tuple(2 * n for n in SHAPES[ndim])
    model = segmentation(shape, [0, 7, 2035], 1.5, recipe, network=TINY)
    assert model.run.shape == SHAPES[ndim] and model.run.spacing == (3.0,) * ndim
    batch = boxes(ndim, num_batches=1)[0][0]
    samples = model.synthesis(batch)
    outputs = model(batch)
    fine = ops.convert_to_numpy(samples["fine_labels"])[..., 0]
    one_hot = np.stack([fine == v for v in (0, 7, 2035)], axis=-1)
    size = [m for n in SHAPES[ndim] for m in (n, 2)]
    shares = one_hot.reshape(-1, *size, 3).mean(axis=tuple(range(2, 2 * ndim + 1, 2)))
    assert np.any((shares > 0) & (shares < 1))
    perfect = {**outputs, "posteriors": ops.convert_to_tensor(shares.astype("float32"))}
    model.segmentation_loss = SoftDice()
    assert float(ops.mean(model.objective(perfect))) < 1e-6
    with pytest.raises(ValueError, match="`shape` must be a multiple of 4"):
        segmentation((18,) * ndim, [0, 7, 2035], recipe=recipe, network=TINY)
