import re
import shutil

import h5py
import numpy as np
import pytest
from keras import ops
from synthseg_weights import write_quality, write_robust, write_unet

from synthtf.interop import (
    load_published,
    load_synthseg,
    load_synthseg_parts,
    load_synthseg_weights,
)
from synthtf.networks import UNetConfig, unet


def published(layers, levels):
    """SynthSeg's layer names, by ours, written out independently of the package."""
    names = {"logits": "unet_likelihood"}
    for level in range(levels):
        up = levels - 2 - level
        names[f"down_{level}_norm"] = f"unet_bn_down_{level}"
        names[f"up_{level}_norm"] = f"unet_bn_up_{up}"
        for index in range(2):
            names[f"down_{level}_conv_{index}"] = f"unet_conv_downarm_{level}_{index}"
            names[f"up_{level}_conv_{index}"] = f"unet_conv_uparm_{levels + up}_{index}"
    return [(names[layer.name], layer) for layer in layers if layer.weights]


@pytest.fixture
def model():
    model = unet(3, 2, UNetConfig(features=4, levels=3, normalization="batch"))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.uniform(0.1, 0.5, variable.shape))
    return model


@pytest.fixture
def path(model, tmp_path):
    """A file in the layout of legacy Keras."""
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        for name, layer in published(model.layers, levels=3):
            for variable in layer.weights:
                file[f"{name}/{name}/{variable.name}:0"] = array(variable)
        file.create_group("unet_maxpool_0")
    return path


def array(variable):
    return ops.convert_to_numpy(variable + 0)


def predict(model, image):
    return model.predict_on_batch(image)


def image():
    return np.random.default_rng(1).uniform(size=(1, 8, 12, 1)).astype("float32")


@pytest.mark.parametrize("ndim", [2, 3])
def test_oracle(shared, ndim):
    recorded = np.load(shared(f"oracles/synthseg_unet_{ndim}d.npz"))
    model = load_synthseg(shared(f"oracles/synthseg_unet_{ndim}d.h5"))
    posteriors = predict(model, recorded["image"])
    assert recorded["posteriors"].std() > 0.01
    np.testing.assert_allclose(posteriors, recorded["posteriors"], atol=1e-4)


def test_round_trip(model, path):
    loaded = load_synthseg(path)
    np.testing.assert_allclose(predict(loaded, image()), predict(model, image()), atol=1e-6)
    other = unet(3, 2, UNetConfig(features=4, levels=3, normalization="batch"))
    assert np.abs(predict(other, image()) - predict(model, image())).max() > 1e-3
    load_synthseg_weights(other, path)
    np.testing.assert_array_equal(predict(other, image()), predict(loaded, image()))


def test_file_of_a_whole_model(model, path, tmp_path):
    whole = tmp_path / "model.h5"
    with h5py.File(path) as source, h5py.File(whole, "w") as file:
        source.copy(source["/"], file, "model_weights")
        file["optimizer_weights/iterations"] = 5
    np.testing.assert_allclose(
        predict(load_synthseg(whole), image()), predict(model, image()), atol=1e-6
    )


def test_layers_of_other_networks_are_ignored(model, path):
    expected = predict(load_synthseg(path), image())
    with h5py.File(path, "a") as file:
        file["unet_conv_uparm_9_0/unet_conv_uparm_9_0/kernel:0"] = np.zeros(3, "f4")
        file["other_conv_downarm_0_0/other_conv_downarm_0_0/bias:0"] = np.zeros(3, "f4")
    np.testing.assert_array_equal(predict(load_synthseg(path), image()), expected)


def test_sizes_of_all_networks_follow_from_the_file(tmp_path):
    path = write_unet(
        tmp_path / "p.h5",
        "unet_parc",
        inputs=3,
        outputs=7,
        features=3,
        levels=3,
        root="model_weights/",
    )
    network = load_published(path)
    assert network.name == "unet_parc"
    assert network.input.shape[-1] == 3 and network.output.shape[-1] == 7
    assert network.get_layer("down_2_conv_1").filters == 12
    found = predict(network, np.ones((1, 8, 8, 8, 3), "float32"))
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-6)


def test_robust_networks_are_chained(tmp_path):
    path = write_robust(tmp_path / "r.h5", tissues=4, outputs=6, levels=4)
    parts = load_synthseg_parts(path)
    assert set(parts) == {"unet", "l2l", "unet2"}
    # The denoiser's finest levels see only what comes up.
    names = {layer.name for layer in parts["l2l"].layers}
    assert "up_2_concat" in names and not {"up_0_concat", "up_1_concat"} & names
    assert parts["l2l"].get_layer("down_0_conv_0").kernel_size == (5, 5, 5)
    scan = np.random.default_rng(0).uniform(size=(1, 16, 16, 16, 1)).astype("float32")
    one_hot = np.eye(4, dtype="float32")
    tissues = one_hot[predict(parts["unet"], scan).argmax(-1)]
    labels = one_hot[predict(parts["l2l"], tissues).argmax(-1)]
    expected = predict(parts["unet2"], np.concatenate([scan, labels], -1))
    np.testing.assert_allclose(predict(load_synthseg(path), scan), expected, atol=1e-5)
    assert load_synthseg(path, "l2l").output.shape[-1] == 4
    two = write_unet(write_unet(tmp_path / "two.h5", levels=2), "unet_parc", levels=2)
    with pytest.raises(ValueError, match=r"`part` name it\. Received: unet, unet_parc"):
        load_synthseg(two)
    with pytest.raises(ValueError, match="lacks the tensor qc_conv_downarm_0_0/kernel"):
        load_synthseg(path, "qc")


@pytest.mark.parametrize(("write", "last"), [(write_unet, "likelihood"), (write_quality, "final")])
def test_the_tensor_at_fault_is_named(tmp_path, write, last):
    """Whichever one is missing or of another shape."""
    path, damaged = write(tmp_path / "w.h5", levels=3), tmp_path / "damaged.h5"
    shapes = {}
    with h5py.File(path) as file:
        file.visititems(lambda key, item: shapes.update({key: getattr(item, "shape", None)}))
    tensors = [key for key, shape in shapes.items() if shape and last not in key]
    for key in tensors[::4]:
        layer, _, tensor = key.removesuffix(":0").split("/")
        shutil.copy(path, damaged)
        with h5py.File(damaged, "a") as file:
            del file[key]
        with pytest.raises(ValueError, match=f"lacks the tensor {layer}/{tensor}"):
            load_synthseg(damaged)
        with h5py.File(damaged, "a") as file:
            file[key] = np.zeros((*shapes[key][:-1], shapes[key][-1] + 3), "f4")
        with pytest.raises(ValueError, match=f"the tensor {layer}/{tensor} has the shape"):
            load_synthseg(damaged)


def test_the_judge_of_segmentations(tmp_path):
    """Against the network written out in NumPy, with kernels of one voxel."""
    path = write_quality(tmp_path / "q.h5", groups=3, features=3, levels=2, kernel=1)
    model = load_published(path)
    assert model.output.shape == (None, 3)
    x = np.random.default_rng(0).uniform(size=(6, 4, 4, 3)).astype("float32")
    found = predict(model, x[None])[0]
    with h5py.File(path) as file:
        tensors = {
            name: {key[:-2]: file[name][name][key][()] for key in file[name][name]} for name in file
        }

    def convolve(x, name):
        layer = tensors[f"qc_{name}"]
        return x @ layer["kernel"][0, 0, 0] + layer["bias"]

    def relu(x):
        return np.maximum(x, 0)

    for level in range(2):
        start = x
        x = convolve(relu(convolve(x, f"conv_downarm_{level}_0")), f"conv_downarm_{level}_1")
        # Where input and output have as many channels, nothing stands in between.
        x = relu(x + (start if level == 0 else relu(convolve(start, "expand_down_merge_1"))))
        norm = tensors[f"qc_bn_down_{level}"]
        x = (x - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-3)
        x = x * norm["gamma"] + norm["beta"]
        half = [-(-n // 2) for n in x.shape[:3]]
        x = np.pad(
            x,
            [(0, 2 * h - n) for h, n in zip(half, x.shape, strict=False)] + [(0, 0)],
            constant_values=-np.inf,
        )
        x = x.reshape(half[0], 2, half[1], 2, half[2], 2, -1).max((1, 3, 5))
    x = relu(convolve(relu(convolve(x, "final_conv_0")), "final_conv_1"))
    np.testing.assert_allclose(found, x.mean((0, 1, 2)), atol=1e-5)
    with h5py.File(path, "a") as file:
        del file["qc_final_conv_0"]
    with pytest.raises(ValueError, match="lacks the tensor qc_final_conv_0/kernel"):
        load_synthseg(path)


def test_a_network_that_computes_an_image_is_refused(path):
    with h5py.File(path, "a") as file:
        for name in ("kernel:0", "bias:0"):
            key = f"unet_likelihood/unet_likelihood/{name}"
            replace(file, key, file[key][..., :1])
    with pytest.raises(ValueError, match=r"weights\.h5: the tensor unet_likelihood/bias .*SynthSR"):
        load_synthseg(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("unet_bn_down_0/unet_bn_down_0/moving_variance:0", np.negative, "must not be negative"),
        ("unet_likelihood/unet_likelihood/kernel:0", np.zeros_like, "never written"),
        ("unet_likelihood/unet_likelihood/bias:0", lambda x: x * 1e20, "at most 1e"),
    ],
)
def test_weights_that_no_network_has_are_refused(path, key, change, message):
    with h5py.File(path, "a") as file:
        replace(file, key, change(file[key][()]))
    with pytest.raises(ValueError, match=rf"weights\.h5: the tensor .*{message}"):
        load_synthseg(path)


KERNEL = "unet_conv_uparm_4_1/unet_conv_uparm_4_1/kernel:0"


def replace(file, key, value):
    del file[key]
    file[key] = value


def external(file):
    del file[KERNEL]
    file[KERNEL] = h5py.ExternalLink("other.h5", "/kernel:0")


def external_storage(file):
    del file[KERNEL]
    file.create_dataset(KERNEL, (4, 4), "f4", external=[("/etc/hostname", 0, 64)])


def virtual(file):
    del file[KERNEL]
    layout = h5py.VirtualLayout((4, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "kernel", (4, 4))
    file.create_virtual_dataset(KERNEL, layout)


def soft(file):
    replace(file, KERNEL, h5py.SoftLink("/unet_likelihood"))


def huge(file):
    del file[KERNEL]
    file.create_dataset(KERNEL, (2**20, 2**20), "f4", chunks=(256, 256))


def cycle(file):
    group = file.create_group("unet_loop")
    for index in range(50):
        group[f"again_{index}"] = group


def huge_level(file):
    # Small itself, but the network would need more memory than there is.
    replace(
        file, "unet_conv_downarm_0_0/unet_conv_downarm_0_0/kernel:0", np.zeros((3, 3, 1, 2**20))
    )
    replace(file, "unet_conv_downarm_0_1/unet_conv_downarm_0_1/bias:0", np.zeros(2**20))
    replace(file, "unet_conv_downarm_1_1/unet_conv_downarm_1_1/bias:0", np.zeros(2**21))
    replace(file, "unet_conv_downarm_2_1/unet_conv_downarm_2_1/bias:0", np.zeros(2**22))


BREAKS = {
    "external link": (external, "kernel:0 must not be a link to another place or file"),
    "external storage": (external_storage, "kernel:0 must not be stored in another file"),
    "virtual": (virtual, "kernel:0 must not be stored in another file"),
    "soft link": (soft, "kernel:0 must not be a link to another place or file"),
    "huge": (huge, "claims .* bytes, more than the 0 stored"),
    "cycle": (cycle, "has more than 20000 members"),
    "huge level": (huge_level, r"unet_conv_downarm_0_0/kernel has the shape \(3, 3, 1, 1048576\)"),
    "missing tensor": (
        lambda file: file.__delitem__(KERNEL),
        r"lacks the tensor unet_conv_uparm_4_1/kernel, of shape \(3, 3, 4, 4\)",
    ),
    "missing first": (
        lambda file: file.__delitem__("unet_conv_downarm_0_0"),
        "lacks the tensor unet_conv_downarm_0_0/kernel",
    ),
    "missing level": (
        lambda file: file.__delitem__("unet_conv_downarm_1_1"),
        "lacks the tensor unet_conv_downarm_1_1/kernel",
    ),
    "missing normalization": (
        lambda file: file.__delitem__("unet_bn_up_0"),
        "lacks the tensor unet_bn_up_0/gamma",
    ),
    "wrong shape": (
        lambda file: replace(file, KERNEL, np.zeros((3, 3, 4, 5), "f4")),
        r"unet_conv_uparm_4_1/kernel has the shape \(3, 3, 4, 5\), but the network expects \(3, 3, "
        r"4, 4\)",
    ),
    "scalar": (
        lambda file: replace(file, KERNEL, 1.0),
        r"unet_conv_uparm_4_1/kernel has the shape \(\)",
    ),
    "extra tensor": (
        lambda file: file.__setitem__("unet_likelihood/extra:0", np.zeros(3, "f4")),
        "holds the tensor unet_likelihood/extra,",
    ),
    "integers": (
        lambda file: replace(file, KERNEL, np.zeros((3, 3, 4, 4), "i4")),
        "kernel:0 must be floating-point. Received: int32",
    ),
    "strings": (
        lambda file: replace(file, KERNEL, "text"),
        "kernel:0 must be floating-point. Received: object",
    ),
    "empty": (lambda file: replace(file, KERNEL, h5py.Empty("f4")), "kernel:0 is empty"),
    "not finite": (
        lambda file: replace(file, KERNEL, np.full((3, 3, 4, 4), np.nan)),
        "kernel:0 must be finite",
    ),
    "two of one name": (
        lambda file: file.__setitem__("unet_likelihood/kernel:0", np.zeros(3, "f4")),
        "the layer unet_likelihood holds two tensors named kernel",
    ),
    "tensor at the top": (
        lambda file: file.__setitem__("kernel:0", np.zeros(3, "f4")),
        "must hold one group per layer, but 'kernel:0' is a tensor",
    ),
    "one axis": (
        lambda file: replace(
            file, "unet_conv_downarm_0_0/unet_conv_downarm_0_0/kernel:0", np.zeros((3, 1, 4), "f4")
        ),
        "must be a 2D or 3D kernel of equal sizes",
    ),
}


@pytest.mark.parametrize(("damage", "message"), BREAKS.values(), ids=BREAKS.keys())
def test_broken_files_are_refused(path, damage, message):
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(ValueError, match=message) as error:
        load_synthseg(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_refused_weights_change_nothing(path):
    with h5py.File(path, "a") as file:
        del file["unet_likelihood/unet_likelihood/bias:0"]
    model = unet(3, 2, UNetConfig(features=4, levels=3, normalization="batch"))
    before = list(map(array, model.weights))
    with pytest.raises(ValueError, match="lacks the tensor unet_likelihood/bias"):
        load_synthseg_weights(model, path)
    for a, b in zip(before, map(array, model.weights), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_network_is_refused(path):
    config = UNetConfig(features=4, levels=3)
    with pytest.raises(ValueError, match="unet_bn_down_0/moving_mean, which the network"):
        load_synthseg_weights(unet(3, 2, config), path)
    with pytest.raises(ValueError, match=r"unet_likelihood/kernel has the shape \(1, 1, 4, 3\)"):
        config = UNetConfig(features=4, levels=3, normalization="batch")
        load_synthseg_weights(unet(4, 2, config), path)


def test_no_such_file(tmp_path):
    path = tmp_path / "none.h5"
    with pytest.raises(FileNotFoundError, match=re.escape(f"{path} does not exist")):
        load_synthseg(path)


def test_not_hdf5_and_truncated(path, tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("not at all")
    with pytest.raises(ValueError, match="is not a readable HDF5 file"):
        load_synthseg(text)
    short = tmp_path / "short.h5"
    shutil.copy(path, short)
    with short.open("r+b") as stream:
        stream.truncate(path.stat().st_size // 2)
    with pytest.raises(ValueError, match="is not a readable HDF5 file"):
        load_synthseg(short)
