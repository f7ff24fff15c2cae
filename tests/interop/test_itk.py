import numpy as np
import pytest

from synthtf.data.transforms import Affine
from synthtf.inference.applying import apply_transform
from synthtf.interop.displacement_field import read_displacement_field
from synthtf.interop.itk import read_itk, write_itk
from synthtf.interop.transform_files import read_transform, write_transform

LPS = np.array([-1.0, -1, 1])
KINDS = ("euler", "zyx", "versor", "similarity", "affine", "translation", "composite")
POINTS = np.random.default_rng(0).uniform(-40, 40, (20, 3))
TEXT = """#Insight Transform File V1.0
#Transform 0
Transform: AffineTransform_double_3_3
Parameters: 1 0 0 0 1 0 0 0 1 4 5 6
FixedParameters: 0 0 0
"""


def resampled(sitk, pair, transform, nearest=False):
    """The moving image on the fixed grid, by SimpleITK."""
    fixed, moving = (sitk.ReadImage(str(v.path)) for v in (pair.fixed, pair.moving))
    method = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    return sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, method, 0.0)).T


def field_transform(sitk, path):
    return sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))


def itk_kinds(sitk):
    centre, shift, angles = (5.0, -3.0, 8.0), (4.0, 6.0, -2.0), (0.2, -0.1, 0.3)
    euler = sitk.Euler3DTransform(centre, *angles, shift)
    zyx = sitk.Euler3DTransform(centre, *angles, shift)
    zyx.SetComputeZYX(True)
    versor = sitk.VersorRigid3DTransform((1.0, 2.0, 0.5), 0.4, shift, centre)
    similarity = sitk.Similarity3DTransform(1.2, (1.0, 2.0, 0.5), 0.4, shift, centre)
    affine = sitk.AffineTransform((1.1, 0.1, 0, -0.2, 0.9, 0.05, 0, 0.1, 1.2), shift, centre)
    translation = sitk.TranslationTransform(3, shift)
    composite = sitk.CompositeTransform([affine, euler, translation])
    return {
        "euler": euler,
        "zyx": zyx,
        "versor": versor,
        "similarity": similarity,
        "affine": affine,
        "translation": translation,
        "composite": composite,
    }


@pytest.mark.parametrize(
    "kind, ending",
    # ITK writes no composite as .mat.
    [(k, e) for k in KINDS for e in (".tfm", ".txt", ".mat") if (k, e) != ("composite", ".mat")],
)
def test_what_itk_writes(sitk, tmp_path, kind, ending):
    transform = itk_kinds(sitk)[kind]
    sitk.WriteTransform(transform, str(tmp_path / f"a{ending}"))
    found = read_transform(tmp_path / f"a{ending}")
    expected = [np.array(transform.TransformPoint(p)) for p in (POINTS * LPS).tolist()]
    np.testing.assert_allclose(found(POINTS), np.array(expected) * LPS, atol=1e-6)


@pytest.mark.parametrize("name", ["a.tfm", "a.txt", "s1_0GenericAffine.mat"])
def test_itk_applies_what_is_written(sitk, pair, affine, name):
    path = pair.folder / name
    write_transform(path, affine, fixed=pair.fixed, moving=pair.moving)
    expected = resampled(sitk, pair, sitk.ReadTransform(str(path)))
    found = apply_transform(pair.moving, read_transform(path), like=pair.fixed)
    np.testing.assert_allclose(found.data, expected, atol=2e-3)
    unmoved = apply_transform(pair.moving, Affine(np.eye(4)), like=pair.fixed)
    assert np.abs(unmoved.data - expected).max() > 20
    np.testing.assert_allclose(read_transform(path).matrix, affine.matrix, atol=1e-14)


def test_nearest_neighbours_are_those_of_itk(sitk, pair, affine):
    write_itk(pair.folder / "a.tfm", affine)
    expected = resampled(sitk, pair, sitk.ReadTransform(str(pair.folder / "a.tfm")), nearest=True)
    found = apply_transform(pair.moving, affine, like=pair.fixed, interpolation="nearest")
    np.testing.assert_array_equal(found.data, expected)


def test_itk_applies_the_displacement_that_is_written(sitk, pair, warp):
    path = pair.folder / "s1_1Warp.nii.gz"
    write_transform(path, warp, fixed=pair.fixed, moving=pair.moving)
    expected = resampled(sitk, pair, field_transform(sitk, path))
    found = apply_transform(pair.moving, read_transform(path), like=pair.fixed)
    np.testing.assert_allclose(found.data, expected, atol=2e-3)
    direct = apply_transform(pair.moving, warp, like=pair.fixed)
    np.testing.assert_allclose(direct.data, expected, atol=2e-3)


def test_the_displacement_that_itk_writes(sitk, pair):
    euler = itk_kinds(sitk)["euler"]
    fixed = sitk.ReadImage(str(pair.fixed.path))
    field = sitk.TransformToDisplacementField(
        euler,
        sitk.sitkVectorFloat64,
        fixed.GetSize(),
        fixed.GetOrigin(),
        fixed.GetSpacing(),
        fixed.GetDirection(),
    )
    sitk.WriteImage(field, str(pair.folder / "field.nii.gz"))
    sitk.WriteTransform(euler, str(pair.folder / "euler.tfm"))
    found = read_displacement_field(pair.folder / "field.nii.gz")
    grid = found.fixed
    assert grid.shape == pair.fixed.shape
    np.testing.assert_allclose(grid.affine, pair.fixed.affine, atol=1e-5)
    _, mm = next(grid.slabs())
    np.testing.assert_allclose(found(mm), read_itk(pair.folder / "euler.tfm")(mm), atol=1e-4)


def test_text_is_in_lps(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    np.testing.assert_array_equal(read_itk(tmp_path / "a.txt")([0, 0, 0]), [-4, -5, 6])


def test_matrix_offset_transforms_turn_about_their_centre(tmp_path):
    text = TEXT.replace("AffineTransform_double", "MatrixOffsetTransformBase_float")
    text = text.replace("1 0 0 0 1 0 0 0 1 4 5 6", "2 0 0 0 2 0 0 0 2 0 0 0")
    (tmp_path / "a.tfm").write_text(
        text.replace("FixedParameters: 0 0 0", "FixedParameters: 1 2 3")
    )
    np.testing.assert_allclose(read_itk(tmp_path / "a.tfm")([-1, -2, 3]), [-1, -2, 3])
    np.testing.assert_allclose(read_itk(tmp_path / "a.tfm")([0, 0, 0]), [1, 2, -3])


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("#Insight", "Insight", "an ITK transform must"),
        ("Transform: A", "Transfer: A", "must have a line 'Transform: '"),
        ("AffineTransform", "BSplineTransform", "unknown transform type BSpline.*Euler3DTransform"),
        ("double_3_3", "double_2_2", "unknown transform type AffineTransform_double_2_2"),
        (" 4 5 6", " 4 5", "must have 12 parameters. Received: 11"),
        (" 4 5 6", " 4 5 x", "could not convert"),
        (" 4 5 6", " 4 5 nan", "finite"),
        (" 4 5 6", " 4 5 inf", "finite"),
        ("FixedParameters: 0 0 0", "FixedParameters: 0 0", "must have 3 fixed parameters"),
        ("1 0 0 0 1 0", "1 0 0 1 0 0", "invertible"),
    ],
)
def test_malformed_text_is_refused(tmp_path, old, new, message):
    path = tmp_path / "a.txt"
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(ValueError, match=message) as caught:
        read_itk(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_two_transforms_without_an_order_are_refused(tmp_path):
    second = "".join(TEXT.splitlines(keepends=True)[1:])
    (tmp_path / "a.txt").write_text(TEXT + second)
    with pytest.raises(ValueError, match=r"must hold one transform, or a composite. Received: 2"):
        read_itk(tmp_path / "a.txt")


def test_a_long_versor_is_refused(tmp_path):
    text = TEXT.replace("AffineTransform", "VersorRigid3DTransform")
    text = text.replace("1 0 0 0 1 0 0 0 1 4 5 6", "0.9 0.9 0 1 2 3")
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError, match="a versor must have a length of at most 1"):
        read_itk(tmp_path / "a.txt")


def test_damaged_binaries_are_refused(tmp_path, affine):
    path = tmp_path / "a.mat"
    write_itk(path, affine, binary=True)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for attempt in range(300):
        damaged = bytearray(data[: rng.integers(5, len(data))] if attempt % 2 else data)
        for place in rng.integers(0, min(60, len(damaged)), 2):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            read_itk(path)
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
    assert refused > 200


def test_later_versions_of_matlab_are_refused(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", {"AffineTransform_double_3_3": np.ones((12, 1))}, format="5")
    with pytest.raises(ValueError, match="MATLAB 4"):
        read_transform(tmp_path / "a.mat")


@pytest.mark.parametrize(
    "content, message",
    [
        ({"a": np.ones(3), "b": np.ones(3)}, "must hold one transform. Received: 2"),
        ({"fixed": np.ones(3)}, "must hold one transform. Received: 0"),
        ({"AffineTransform_double_3_3": np.full(12, np.nan)}, "finite"),
        ({"AffineTransform_double_3_3": np.full(12, 1j)}, "finite"),
        ({"AffineTransform_double_3_3": np.ones(5)}, "must have 12 parameters. Received: 5"),
        ({"Affine": np.ones(5)}, "unknown transform type Affine"),
    ],
)
def test_other_binaries_are_refused(tmp_path, content, message):
    from scipy.io import savemat

    savemat(tmp_path / "a.mat", content, format="4")
    with pytest.raises(ValueError, match=message):
        read_transform(tmp_path / "a.mat")
