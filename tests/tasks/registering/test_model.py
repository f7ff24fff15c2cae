import json

import keras
import numpy as np
import pytest
from keras import ops

from synthtf.data import LabelMaps, LabelTable
from synthtf.networks import DetectorConfig, RegistrationConfig, UNetConfig, detector
from synthtf.synthesis import Recipe
from synthtf.tasks import RegistrationTask, registration
from synthtf.tasks.registering.model import make_registration
from synthtf.tasks.registry import task_of

SHAPES = {2: (32, 32), 3: (16, 16, 16)}
DETECTOR = DetectorConfig(8, UNetConfig(features=4, levels=2))
COMPETING = DetectorConfig(8, UNetConfig(features=4, levels=2, mixture_channels=2), halve=False)
UNET = RegistrationConfig(encoder=(4, 8), decoder=(8, 8, 4))


def recipe(**affine):
    return (
        Recipe.preset("tutorial")
        .without("warp", "field_of_view", "gamma", "resolution", "bias")
        .change("affine", shear=0, scaling=1, **affine)
        .change("intensity", background_probability=0)
    )


def maps(ndim, **options):
    """A box of label 7 beside one of label 2035, of different sizes."""
    made = []
    for size in (3, 4, 5, 6):
        labels = np.zeros(SHAPES[ndim], "int32")
        middle = SHAPES[ndim][0] // 2
        labels[(slice(middle - size, middle), *(slice(middle - 3, middle + 3),) * (ndim - 1))] = 7
        labels[(slice(middle, middle + size), *(slice(middle - 2, middle + 4),) * (ndim - 1))] = (
            2035
        )
        made.append(labels)
    return LabelMaps(made, batch_size=2, **options)


def make(ndim, kind="deformable", **options):
    if "network" not in options:
        options["network"] = DETECTOR if kind in ("affine", "rigid") else UNET
    options.setdefault("recipe", recipe(translation=(-3, 3), rotation=(-20, 20)))
    return registration(SHAPES[ndim], [0, 7, 2035], kind=kind, **options)


def numpy(outputs):
    return {name: ops.convert_to_numpy(x) for name, x in outputs.items()}


@pytest.mark.parametrize(
    ("kind", "options", "learning_rate"),
    [
        pytest.param("deformable", {"regularization": 0.1}, 3e-3, marks=pytest.mark.slow),
        pytest.param("affine", {"landmarks": 1.0}, 3e-3, marks=pytest.mark.slow),
        pytest.param(
            "affine",
            {"landmarks": 1.0, "network": COMPETING},
            6e-3,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_learns_from_label_maps_alone(kind, options, learning_rate):
    keras.utils.set_random_seed(1)
    model = make(2, kind, **options)
    model.compile(keras.optimizers.Adam(learning_rate))
    history = model.fit(maps(2, num_batches=30), epochs=6, verbose=0, shuffle=False).history
    # Epochs of 30 steps differ by chance, and processors by rounding.
    assert np.mean(history["dice"][-2:]) > history["dice"][0] + 0.05, history["dice"]
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("kind", ["deformable", "affine"])
def test_moves_in_three_dimensions(kind):
    model = make(3, kind)
    outputs = numpy(model(maps(3)[0][0]))
    assert np.isfinite(float(ops.mean(model.objective(outputs))))
    assert outputs["moved_structures"].shape == outputs["fixed_structures"].shape
    assert outputs["moved_structures"].shape[-1] == 2


@pytest.mark.parametrize("kind", ["deformable", "affine"])
def test_the_identity_moves_nothing(kind):
    """The network starts near the identity: moved labels are those of the moving image."""
    model = make(2, kind)
    batch = maps(2)[0][0]
    samples = numpy(model.synthesis(batch))
    zero = [np.zeros(w.shape) for w in model.task_model.get_weights()]
    model.task_model.set_weights(zero)
    outputs = numpy(model(batch))
    for name in ("moving", "fixed"):
        expected = np.stack([samples[f"{name}_labels"][..., 0] == v for v in (7, 2035)], -1)
        if kind == "affine":
            size = expected.shape[1] // 2
            expected = expected.reshape(1, size, 2, size, 2, 2).mean((2, 4))
        name = "moved_structures" if name == "moving" else "fixed_structures"
        np.testing.assert_allclose(outputs[name], expected, atol=1e-5)


def test_objective_is_overlap_and_roughness():
    model = make(2, regularization=2.0)
    fixed = np.zeros((1, 4, 4, 2), "float32")
    fixed[0, :2, :, 0] = fixed[0, 2:, :, 1] = 1
    outputs = {
        "fixed_structures": fixed,
        "moved_structures": fixed,
        "velocity": np.zeros((1, 4, 4, 2), "float32"),
    }
    assert float(ops.mean(model.objective(outputs))) == pytest.approx(0, abs=1e-5)
    outputs["velocity"][..., 0] = np.arange(4)[None, :, None]
    rough = float(ops.mean(model.objective(outputs)))
    assert rough == pytest.approx(2 * 0.25, abs=1e-4)  # one of four differences is 1
    outputs["regularization"] = ops.array([[0.75]], "float32")
    outputs["moved_structures"] = fixed[..., ::-1]
    assert float(ops.mean(model.objective(outputs))) == pytest.approx(
        0.25 * 1 + 0.75 * 0.25, abs=1e-3
    )


def test_landmarks_draw_features_to_their_structures():
    model = make(2, "affine", landmarks=1.0)
    outputs = numpy(model(maps(2)[0][0]))
    plain = make(2, "affine")
    overlap = float(ops.mean(plain.objective(outputs)))
    perfect = {f"{n}_features": 3 * outputs[f"{n}_landmarks"] for n in ("moving", "fixed")}
    assert float(ops.mean(model.objective({**outputs, **perfect}))) == pytest.approx(
        overlap, abs=0.01
    )
    swapped = {name: features[..., ::-1] for name, features in perfect.items()}
    # A cosine of next to nothing, and the distance between the two structures.
    assert float(ops.mean(model.objective({**outputs, **swapped}))) > overlap + 1.5
    variables = {v.path for v in model.task_model.trainable_variables}
    assert variables == {v.path for v in model.trainable_variables}


def test_joint_keeps_the_affine_network():
    linear = make(2, "affine")
    network = RegistrationConfig(encoder=(4, 8), decoder=(8, 8, 4), hyper_units=4)
    model = make(2, "joint", affine=linear, network=network)
    affine = linear.task_model
    learned = {variable.path for variable in model.trainable_variables}
    assert learned and not learned & {variable.path for variable in affine.variables}
    assert sorted(model.task_model.input) == ["fixed", "moving", "regularization"]
    assert sorted(model.task_model.output) == ["affine", "displacement", "inverse", "velocity"]


def test_a_detector_may_be_that_of_a_model_in_memory():
    affine = make(2, "affine")
    network = RegistrationConfig(encoder=(4,), decoder=(4, 4), detector=DETECTOR)
    model = make(2, network=network, detector=affine)
    given, found = (detector(m.task_model) for m in (affine, model))
    for old, new in zip(given.get_weights(), found.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not found.trainable and given.trainable
    assert model.run.metadata["detector"] == "in memory"
    with pytest.raises(ValueError, match="`network` must have a detector"):
        make(2, detector=affine)


def constant_affine(matrix):
    """A network that always finds the same matrix."""
    inputs = {name: keras.Input((None, None, 1), name=name) for name in ("moving", "fixed")}
    nothing = 0.0 * ops.mean(inputs["moving"] + inputs["fixed"], axis=(1, 2, 3), keepdims=True)
    outputs = {"affine": nothing[..., 0] + matrix}
    return keras.Model(inputs, outputs, name="affine_registration")


def test_joint_without_a_warp_is_affine():
    matrix = np.array([[0.9, -0.3, 2.0], [0.3, 1.1, -1.0], [0.0, 0.0, 1.0]], "float32")
    model = make_registration("joint", 2, UNET, constant_affine(matrix))
    velocity = model.get_layer("registration").get_layer("velocity_conv")
    velocity.set_weights([np.zeros(w.shape) for w in velocity.get_weights()])
    rng = np.random.default_rng(0)
    images = {name: rng.random((1, 32, 32, 1), "float32") for name in ("moving", "fixed")}
    found = numpy(model(images))
    grid = np.stack(np.meshgrid(*[np.arange(32) - 15.5] * 2, indexing="ij"), -1)
    for name, m in (("displacement", matrix), ("inverse", np.linalg.inv(matrix))):
        expected = grid @ m[:2, :2].T + m[:2, 2] - grid
        np.testing.assert_allclose(found[name][0], expected, atol=1e-3)


def test_brain_structures_are_the_default(tmp_path):
    text = "id\tname\toutput\tbrain\n0\tair\t0\tno\n2\twhite matter\t2\tyes\n502\tskin\t502\tno\n"
    (tmp_path / "labels.tsv").write_text(text)
    table = LabelTable.read(tmp_path / "labels.tsv")
    model = registration((32, 32), table, network=UNET)
    assert model.output_labels == (0, 2)
    assert registration((32, 32), table, network=UNET, structures=[502]).output_labels == (0, 502)


def test_saves_and_loads_whole(tmp_path):
    model = make(2, "affine", landmarks=0.5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    batch = maps(2)[0][0]
    for name, value in numpy(model(batch)).items():
        np.testing.assert_array_equal(numpy(again(batch))[name], value)


def sized(kind, features, **options):
    return RegistrationTask(kind, features=features, **options).network


def test_width_scales_the_networks():
    assert sized("affine", 8).backbone.features == 8
    assert sized("deformable", 8).encoder == (16, 16, 16)
    assert sized("deformable", 8).detector == sized("affine", 8)
    assert sized("deformable", 8, detector=False).encoder == (8, 16, 16, 16)
    assert sized("affine", 8, mixture_channels=0).halve
    assert not sized("affine", 8, mixture_channels=2).halve
    assert RegistrationTask("joint").network.hyper_units > 0


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "affine"},
        {"kind": "rigid", "network": COMPETING},
        {"kind": "deformable", "network": UNET, "structures": [7]},
        {"kind": "joint", "features": 8, "affine": "affine-2mm", "overlap": "mse"},
        {"detector": False, "landmarks": 0.5},
        {"detector": "affine-2mm"},
    ],
)
def test_facts_give_the_same_task(options):
    task = RegistrationTask(**options)
    facts = json.loads(json.dumps(task.facts()))
    again = task_of(facts)
    assert again == task and again.facts() == facts
    assert facts["features"] == again.features and facts["multiple"] == task.multiple


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make(2, "elastic"), "`kind` must be one of"),
        (lambda: make(2, "affine", network=UNET), "`network` must be a DetectorConfig"),
        (lambda: registration((30, 32), [0, 7]), "`shape` must be a multiple of 16"),
        (lambda: make(2, "joint"), "`affine` must be a trained run"),
        (lambda: make(2, overlap="ncc"), "`overlap` must be one of"),
        (lambda: make(2, landmarks=1.0), "`landmarks` needs a network with a detector"),
        (lambda: make(2, "affine", landmarks=-1.0), "`landmarks` must lie in"),
        (lambda: make(2, regularization=-1), "`regularization` must lie in"),
        (lambda: make(2, structures=[0, 7]), "`structures` must be ascending positive"),
        (lambda: RegistrationTask("elastic"), "`kind` must be one of"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
