import numpy as np
import pytest

from synthtf.data.surfaces import Surface
from synthtf.inference.surfaces.meshes import mesh, thickness


def sphere(radius, kind, n=60):
    """Points of a sphere; its triangles do not matter."""
    u, v = np.meshgrid(np.linspace(0, np.pi, n), np.linspace(0, 2 * np.pi, n, endpoint=False))
    points = np.stack([np.sin(u) * np.cos(v), np.sin(u) * np.sin(v), np.cos(u)], -1)
    return Surface(
        radius * points.reshape(-1, 3).astype("float32"), np.zeros((0, 3), "int32"), "left", kind
    )


def test_thickness_is_the_mean_of_both_ways():
    values = thickness(sphere(20, "white"), sphere(23, "pial"))
    np.testing.assert_allclose(values, 3, atol=0.05)
    # Back from a far part of the other surface, the way is shorter.
    white = Surface(np.array([[0, 0, 0], [6.0, 0, 0]], "float32"), None, "left", "white")
    pial = Surface(np.array([[4.0, 0, 0]], "float32"), None, "left", "pial")
    np.testing.assert_allclose(thickness(white, pial), [3, 2])


@pytest.mark.parametrize("flip", [1, -1], ids=["right-handed", "left-handed"])
def test_a_mesh_has_the_topology_of_the_region_and_looks_outwards(flip):
    pytest.importorskip("skimage")
    values = np.full((8, 8, 6), -1.0)
    values[2:6, 2:6, 2:4] = 1
    region = values > 0
    region[3:5, 3:5] = False  # a ring, though the values say a block
    affine = np.diag([2.0 * flip, 2, 2, 1])
    affine[:3, 3] = 5
    found = mesh(values, region, affine, "left", "pial")
    assert (found.pieces, found.handles) == (1, 1)
    whole = mesh(values, values > 0, affine, "left", "pial")
    assert whole.handles == 0
    np.testing.assert_allclose(
        whole.vertices.mean(0), affine[:3, :3] @ [3.5, 3.5, 2.5] + 5, atol=1e-4
    )
    a, b, c = (whole.vertices[whole.triangles[:, i]] - whole.vertices.mean(0) for i in range(3))
    assert (np.cross(a, b) * c).sum() > 0
