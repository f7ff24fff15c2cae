"""ITK's affine transforms: text (.txt, .tfm) and the binary .mat of ANTs.

ITK's matrices map points of the fixed to points of the moving image, as in synthtf, but in LPS:
left and posterior are positive. They rotate about a centre: `T(x) = A (x - c) + c + t`. A text file
with a composite of affine transforms is read as their product; points pass the last one first, in
ITK as in synthtf.

Reference:
    The ITK Software Guide, "Transforms"; ITK's `itkTxtTransformIO` and `itkMatlabTransformIO`.
"""

import io
import os
import re
from collections.abc import Callable

import numpy as np
from scipy.io import loadmat, savemat
from scipy.spatial.transform import Rotation

from synthtf.data.transforms import Affine
from synthtf.data.whole_files import write_whole
from synthtf.interop.small_files import naming, parse_numbers, read_small, read_text
from synthtf.interop.transform_format import TransformFormat

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_BANNER = "#Insight Transform File V1.0"
_WRITTEN = "AffineTransform_double_3_3"
_COMPOSITE = "CompositeTransform"


def read_itk(path: str | os.PathLike) -> Affine:
    """Read an affine transform of ITK or ANTs, text or binary; the content decides.

    Args:
        path: path of a .txt, .tfm or .mat file.

    Returns:
        The transform in RAS.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is malformed, or its transform is not affine or not 3D.
    """
    data = read_small(path)
    with naming(path):
        matrix = _from_binary(data) if b"\0" in data else _from_text(read_text(path))
        return Affine(_LPS @ matrix @ _LPS)


def write_itk(path: str | os.PathLike, transform: Affine, *, binary: bool = False) -> None:
    """Write an affine transform for ITK and ANTs.

    Args:
        path: file to write.
        transform: transform from the fixed to the moving image.
        binary: write the binary .mat of ANTs instead of text. Default False.

    Raises:
        OSError: if the file cannot be written.
    """
    matrix = _LPS @ transform.matrix @ _LPS
    parameters = np.concatenate([matrix[:3, :3].ravel(), matrix[:3, 3]])
    if binary:
        stream = io.BytesIO()
        content = {_WRITTEN: parameters[:, None], "fixed": np.zeros((3, 1))}
        savemat(stream, content, format="4")
        write_whole(path, stream.getvalue())
        return
    lines = [
        _BANNER,
        "#Transform 0",
        f"Transform: {_WRITTEN}",
        "Parameters: " + " ".join(f"{number:.17g}" for number in parameters),
        "FixedParameters: 0 0 0",
    ]
    write_whole(path, ("\n".join(lines) + "\n").encode())


def _from_text(text: str) -> np.ndarray:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or not lines[0].startswith("#Insight Transform File"):
        raise ValueError(f"an ITK transform must start with '{_BANNER}'")
    found = []
    for line in lines[1:]:
        key, _, value = line.partition(":")
        if key == "Transform":
            found.append({"Transform": value.strip()})
        elif not line.startswith("#") and found:
            found[-1][key] = value
    if not found:
        raise ValueError("an ITK transform must have a line 'Transform: '")
    composite = found[0]["Transform"].startswith(_COMPOSITE)
    if composite:
        found = found[1:]
    if not found or (len(found) > 1 and not composite):
        raise ValueError(
            f"the file must hold one transform, or a composite. Received: {len(found)} transforms"
        )
    product = np.eye(4)
    for block in found:
        words = [block.get(key, "").split() for key in ("Parameters", "FixedParameters")]
        numbers = (parse_numbers(w, "its parameters") for w in words)
        product = product @ _matrix(block["Transform"], *numbers)
    return product


def _from_binary(data: bytes) -> np.ndarray:
    # A file of MATLAB 4 starts with a number of at most four digits. Later versions hold
    # structures, and no transform needs them.
    if not int.from_bytes(data[:4], "little") < 10_000:
        raise ValueError("the file must be one of MATLAB 4, as ITK and ANTs write it")
    try:
        content = loadmat(io.BytesIO(data))
    # SciPy raises exceptions of many types for a damaged file.
    except Exception as error:
        raise ValueError(f"the file must be one of MATLAB 4, as ANTs writes it: {error}") from error
    arrays = {k: np.asarray(v) for k, v in content.items() if not k.startswith("__")}
    fixed = arrays.pop("fixed", np.zeros(3))
    if len(arrays) != 1:
        raise ValueError(f"the file must hold one transform. Received: {len(arrays)} transforms")
    ((name, parameters),) = arrays.items()
    for values in (parameters, fixed):
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise ValueError("its parameters must be finite numbers")
    return _matrix(name, parameters.ravel().astype("f8"), fixed.ravel().astype("f8"))


def _matrix(name: str, parameters: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Return the matrix in LPS of a transform by its name in ITK."""
    kind = re.sub(r"_(double|float)_3_3$", "", name)
    if kind not in _KINDS:
        raise ValueError(
            f"unknown transform type {name}; it must be one of {', '.join(_KINDS)} (_double_3_3 or "
            "_float_3_3)"
        )
    count, parse = _KINDS[kind]
    if len(parameters) != count:
        raise ValueError(f"{name} must have {count} parameters. Received: {len(parameters)}")
    if len(fixed) not in (0, 3, 4):
        raise ValueError(f"{name} must have 3 fixed parameters. Received: {len(fixed)}")
    linear, translation = parse(parameters, fixed)
    centre = fixed[:3] if len(fixed) else np.zeros(3)
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = translation + centre - linear @ centre
    return matrix


def _affine(p: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return p[:9].reshape(3, 3), p[9:]


def _euler(p: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    zyx = len(fixed) == 4 and fixed[3] != 0
    order, angles = ("ZYX", p[[2, 1, 0]]) if zyx else ("ZXY", p[[2, 0, 1]])
    return Rotation.from_euler(order, angles).as_matrix(), p[3:]


def _versor(p: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    square = float(p[:3] @ p[:3])
    if square > 1 + 1e-6:
        raise ValueError(f"a versor must have a length of at most 1. Received: {p[:3].tolist()}")
    quaternion = [*p[:3], max(0.0, 1 - square) ** 0.5]
    return Rotation.from_quat(quaternion).as_matrix(), p[3:6]


def _similarity(p: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rotation, translation = _versor(p, fixed)
    return p[6] * rotation, translation


def _translation(p: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.eye(3), p


def _identity(p: np.ndarray, fixed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.eye(3), np.zeros(3)


_KINDS: dict[str, tuple[int, Callable]] = {
    "AffineTransform": (12, _affine),
    "MatrixOffsetTransformBase": (12, _affine),
    "Euler3DTransform": (6, _euler),
    "VersorRigid3DTransform": (6, _versor),
    "Similarity3DTransform": (7, _similarity),
    "TranslationTransform": (3, _translation),
    "IdentityTransform": (0, _identity),
}


TEXT = TransformFormat(
    (".txt", ".tfm"),
    read=lambda path, fixed, moving: read_itk(path),
    write=lambda path, transform, fixed, moving: write_itk(path, transform),
)
# ANTs gives its MATLAB files this name; all others with this ending are FSL's.
BINARY = TransformFormat(
    (".mat",),
    read=lambda path, fixed, moving: read_itk(path),
    write=lambda path, transform, fixed, moving: write_itk(path, transform, binary=True),
    holds=lambda path: b"\0" in read_small(path),
    is_name=lambda name: name.endswith("genericaffine"),
)
