import nibabel as nib
import numpy as np
import pytest

from synthtf.data.surfaces import Surface, read_surface, write_shape, write_surface

CORNERS = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]], "float32")
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], "int32")


def torus(n=6):
    """Triangles of a doughnut."""
    index = np.arange(n * n).reshape(n, n)
    a, b, c, d = (np.roll(index, s, (0, 1)).ravel() for s in ((0, 0), (1, 0), (0, 1), (1, 1)))
    return Surface(
        np.zeros((n * n, 3), "float32"),
        np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]),
        "left",
        "white",
    )


def test_handles_and_pieces_are_counted():
    one = Surface(CORNERS, FACES, "left", "white")
    assert (one.euler_characteristic, one.pieces, one.handles) == (2, 1, 0)
    two = Surface(np.tile(CORNERS, (2, 1)), np.concatenate([FACES, FACES + 4]), "left", "white")
    assert (two.euler_characteristic, two.pieces, two.handles) == (4, 2, 0)
    assert (torus().euler_characteristic, torus().handles) == (0, 1)
    np.testing.assert_allclose(one.area, 6 + 2 * np.sqrt(3), rtol=1e-6)


@pytest.mark.parametrize(
    ("side", "kind", "names"),
    [("left", "white", ("CortexLeft", "GrayWhite")), ("right", "pial", ("CortexRight", "Pial"))],
)
def test_a_surface_says_what_it_is_and_where(side, kind, names, tmp_path):
    path = tmp_path / "new" / "a.surf.gii"
    write_surface(path, Surface(CORNERS, FACES, side, kind))
    points, triangles = read_surface(path)
    np.testing.assert_array_equal(points, CORNERS)
    np.testing.assert_array_equal(triangles, FACES)
    image = nib.load(path)
    array = image.darrays[0]
    assert array.meta["AnatomicalStructurePrimary"] == names[0]
    assert array.meta["AnatomicalStructureSecondary"] == names[1]
    assert image.meta["AnatomicalStructurePrimary"] == names[0]
    assert array.coordsys.dataspace == 1 == array.coordsys.xformspace
    np.testing.assert_array_equal(array.coordsys.xform, np.eye(4))
    assert [p.name for p in path.parent.iterdir()] == ["a.surf.gii"]


def test_values_at_vertices_are_a_shape_file(tmp_path):
    path = tmp_path / "a.shape.gii"
    write_shape(path, np.arange(4.0), "thickness", "right")
    image = nib.load(path)
    np.testing.assert_array_equal(image.agg_data("NIFTI_INTENT_SHAPE"), np.arange(4))
    assert image.darrays[0].meta["Name"] == "thickness"
    with pytest.raises(ValueError, match=r"a\.shape\.gii: holds no points and triangles"):
        read_surface(path)


def test_a_failure_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.surf.gii"
    path.write_text("before")

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(nib, "save", fail)
    with pytest.raises(OSError, match="no space"):
        write_surface(path, Surface(CORNERS, FACES, "left", "white"))
    assert path.read_text() == "before" and len(list(tmp_path.iterdir())) == 1
