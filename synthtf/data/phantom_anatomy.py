"""The anatomy of the head phantoms: the place of each structure in a common space.

The common space has the axes of a standard brain in mm (x to the right, y to the front,
z to the top, the origin near the anterior commissure). Coordinates and sizes of the
structures come from neuroanatomy textbooks, rounded. `Subject` holds the differences between
subjects. Paired structures are described once, in |x|.
"""

from dataclasses import dataclass, replace

import numpy as np

from synthtf.data.phantom_shapes import (
    Points,
    ellipsoid_depth,
    smooth_intersection,
    smooth_union,
    tube_depth,
)

WARP_KNOT_SPACING = 50.0
WARP_EXTENT = 150.0
_NUM_WAVES = 32


@dataclass(frozen=True)
class Subject:
    """Differences from one phantom to the next; lengths in mm.

    Attributes:
        scale: size relative to the common space along x, y and z.
        warp: spline coefficients of the displacement, shape (3, knots, knots, knots).
        atrophy: 0 (young) to 1 (old): widens ventricles, sulci and subarachnoid space.
        ventricles: factor on the radii of the lateral ventricles, left and right.
        cortex: cortical thickness.
        skull: thickness of the skull.
        scalp: thickness of skin and fat.
        nuclei: factor on the radii of the deep grey nuclei.
        fold_waves: wave vectors of the folding pattern, in radians per mm, shape (waves, 3).
        fold_phases: phases of the waves, shape (waves,).
        jaw: factor on the length of the face.
    """

    scale: np.ndarray
    warp: np.ndarray
    atrophy: float
    ventricles: tuple[float, float]
    cortex: float
    skull: float
    scalp: float
    nuclei: float
    fold_waves: np.ndarray
    fold_phases: np.ndarray
    jaw: float


def draw_subject(rng: np.random.Generator) -> Subject:
    """Draw one phantom.

    Args:
        rng: random generator.

    Returns:
        The subject.
    """
    atrophy = float(rng.uniform(0, 1))
    size = rng.uniform(0.90, 1.0)
    mean_radius = rng.uniform(0.8, 1.1) + 0.8 * atrophy**1.5
    knots = 2 * int(np.ceil(WARP_EXTENT / WARP_KNOT_SPACING)) + 1
    directions = rng.normal(size=(_NUM_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    wavelengths = rng.uniform(25, 29) * rng.uniform(0.8, 1.25, size=(_NUM_WAVES, 1))
    return Subject(
        scale=(size * rng.uniform(0.96, 1.04, size=3)).astype(np.float32),
        warp=rng.normal(scale=4.0, size=(3, knots, knots, knots)).astype(np.float32),
        atrophy=atrophy,
        ventricles=tuple(mean_radius * rng.uniform(0.92, 1.08, size=2)),
        cortex=float(rng.uniform(3.2, 3.8) - 0.4 * atrophy),
        skull=float(rng.uniform(4.5, 7.0)),
        scalp=float(rng.uniform(4.5, 8.0)),
        nuclei=float(rng.uniform(0.93, 1.07) - 0.05 * atrophy),
        fold_waves=(2 * np.pi / wavelengths * directions).astype(np.float32),
        fold_phases=rng.uniform(0, 2 * np.pi, size=_NUM_WAVES).astype(np.float32),
        jaw=float(rng.uniform(0.92, 1.08)),
    )


def thicken(subject: Subject, detail: float) -> Subject:
    """Thicken thin structures, which large voxels would show as scattered dots.

    Args:
        subject: the subject as drawn.
        detail: voxel size in mm to thicken for; 0 changes nothing.

    Returns:
        The subject with wider folds, a thicker cortex, and more space for CSF.
    """
    return replace(
        subject,
        atrophy=subject.atrophy + (1 - subject.atrophy) * min(detail / 8, 1),
        ventricles=tuple(v * (1 + detail / 10) for v in subject.ventricles),
        cortex=subject.cortex + 0.6 * detail,
        skull=subject.skull + detail / 4,
        scalp=subject.scalp + detail / 4,
        nuclei=subject.nuclei * (1 + 0.03 * detail),
        fold_waves=subject.fold_waves / np.float32(1 + detail / 4),
    )


def cavity_depth(points: Points, subject: Subject) -> np.ndarray:
    """Return the depth inside the cavity of the skull and the spinal canal."""
    x, y, z = points
    side = (np.abs(x), y, z)
    vault = smooth_intersection(_vault_depth(side), z + np.float32(26), 10)
    depth = smooth_union(vault, _temporal_depth(side), 10)
    depth = smooth_union(depth, _cerebellum_depth(side), 12)
    depth = smooth_union(depth, _stem_depth(points), 8)
    return depth + np.float32(2.4 + 1.6 * subject.atrophy)


def label_head(points: Points, cavity: np.ndarray, subject: Subject) -> np.ndarray:
    """Label everything outside the cavity: skin and fat, muscle, bone, eyes and air.

    Args:
        points: x, y and z in the common space, in mm.
        cavity: `cavity_depth` of the points.
        subject: the subject.

    Returns:
        Array int32 of the shape of the points, with 0 outside the head.
    """
    outside = cavity + np.float32(subject.skull + subject.scalp)
    labels = np.where(outside > 0, np.int32(258), np.int32(0))
    labels[outside > subject.scalp] = 165
    # Ears, face and neck are below the forehead; above are only the shells around the brain.
    low = np.flatnonzero(points[2] < 40)
    labels[low] = _label_face(tuple(p[low] for p in points), cavity[low], subject)
    return labels


def _label_face(points: Points, cavity: np.ndarray, subject: Subject) -> np.ndarray:
    side = (np.abs(points[0]), points[1], points[2])
    jaw = subject.jaw
    outside = cavity + np.float32(subject.skull + subject.scalp)
    face = ellipsoid_depth(points, (0, 36, -55), (60, 49, 62 * jaw))
    nose = tube_depth(points, [(0, 83, -28, 6), (0, 93, -47, 11)])
    neck = tube_depth(points, [(0, -40, -48, 50), (0, -34, -150, 54)])
    ears = ellipsoid_depth(side, (77, -24, -34), (6, 13, 25))
    flesh = smooth_union(smooth_union(outside, neck, 25), face, 25)
    head = smooth_union(smooth_union(flesh, nose, 8), ears, 6)
    labels = np.where(head > 0, np.int32(258), np.int32(0))
    labels[flesh > subject.scalp] = 123

    bone = smooth_union(cavity + np.float32(subject.skull), _face_bone(side, jaw), 6)
    labels[(bone > 0) & (head > 2.5)] = 165
    orbit = ellipsoid_depth(side, (33, 48, -38), (18, 30, 17))
    labels[(orbit > 0) & (head > 0) & (cavity < -3)] = 258
    labels[ellipsoid_depth(side, (33, 63, -38), (12.5, 12.5, 12.5)) > 0] = 259
    labels[(_airways(points, side, jaw) > 0) & (cavity < -2.5) & (head > 3)] = 0
    return labels


def _face_bone(side: Points, jaw: float) -> np.ndarray:
    shell = ellipsoid_depth(side, (0, 36, -48), (49, 43, 36 * jaw))
    maxilla = np.minimum(shell, 5 - shell)
    mandible = tube_depth(
        side, [(51, 2, -45, 5), (47, 12, -86 * jaw, 7), (20, 62, -98 * jaw, 6), (0, 68, -98, 7)]
    )
    skull_base = ellipsoid_depth(side, (0, 2, -34), (30, 26, 13))
    petrous = tube_depth(side, [(62, -28, -38, 11), (20, -14, -36, 6)])
    vertebrae = tube_depth(side, [(0, -14, -66, 9), (0, -20, -140, 9)])
    vertebrae = np.minimum(vertebrae, 6 * np.cos(side[2] * np.float32(2 * np.pi / 19)) + 5)
    depth = np.maximum(maxilla, mandible)
    depth = np.maximum(depth, np.maximum(skull_base, petrous))
    return np.maximum(depth, vertebrae)


def _airways(points: Points, side: Points, jaw: float) -> np.ndarray:
    nasal = ellipsoid_depth(points, (0, 52, -56 * jaw), (13, 32, 15))
    turbinates = 2.5 * np.cos(side[0] * 1.1) * np.cos(points[2] * 0.45) + 0.5
    nasal = np.minimum(nasal, turbinates)
    depth = np.maximum(nasal, ellipsoid_depth(side, (29, 47, -66 * jaw), (11, 13, 14)))
    depth = np.maximum(depth, ellipsoid_depth(side, (9, 22, -33), (8, 10, 8)))
    depth = np.maximum(depth, ellipsoid_depth(side, (11, 78, -12), (10, 4, 8)))
    return np.maximum(depth, tube_depth(points, [(0, 14, -58, 6), (0, 6, -140, 7)], 1.6))


def _vault_depth(side: Points) -> np.ndarray:
    width, y, z = side
    # A head is narrower in front than behind.
    narrowed = width * (1 + np.float32(0.0007) * (y + 17))
    return ellipsoid_depth((narrowed, y, z), (0, -17, 12), (69, 88, 66))


def _temporal_depth(side: Points) -> np.ndarray:
    lateral = tube_depth(
        side, [(37, 15, -29, 12), (45, -5, -24, 18), (49, -35, -14, 19), (46, -60, 0, 20)]
    )
    medial = tube_depth(side, [(24, -3, -23, 10), (23, -35, -11, 10)])
    return smooth_union(lateral, medial, 8)


def _cerebellum_depth(side: Points) -> np.ndarray:
    hemisphere = ellipsoid_depth(side, (25, -64, -34), (28, 30, 26))
    vermis = ellipsoid_depth(side, (0, -64, -30), (13, 26, 24))
    return smooth_intersection(
        smooth_union(hemisphere, vermis, 6), _base_height(side) - 1.5 - side[2], 3
    )


def _stem_depth(points: Points) -> np.ndarray:
    return tube_depth(
        points,
        (
            (0, -25, -2, 11),
            (0, -25, -17, 11),
            (0, -23, -31, 13.5),
            (0, -34, -52, 8),
            (0, -41, -72, 6),
            (0, -45, -150, 5.5),
        ),
        1.15,
    )


def _base_height(side: Points) -> np.ndarray:
    """Return the height z of the underside of the cerebrum: skull base, then tentorium."""
    width, y, _ = side
    behind = 1 / (1 + np.exp((y + 38) / 7))
    tentorium = 1 - np.float32(0.28) * width + np.float32(0.2) * (y + 50)
    return (1 - behind) * np.float32(-22) + behind * tentorium


def _cerebrum_depth(side: Points) -> np.ndarray:
    """Return the depth inside one hemisphere without folds."""
    width, _, z = side
    upper = smooth_intersection(_vault_depth(side), z - _base_height(side), 5)
    depth = smooth_union(upper, _temporal_depth(side), 6)
    return smooth_intersection(depth, width - np.float32(0.2), 3)


def _core_depth(points: Points) -> np.ndarray:
    """Return the depth inside the parts of the cerebrum that join its halves, without cortex."""
    return np.maximum(_callosum_depth(points), ellipsoid_depth(points, (0, -8, 6), (34, 34, 20)))


def _callosum_depth(points: Points) -> np.ndarray:
    arch = [(0, 17, -5, 2), (0, 29, 3, 5), (0, 23, 17, 4), (0, 5, 26.5, 3.5)]
    arch += [(0, -17, 28, 3.5), (0, -34, 20, 5), (0, -37, 12, 5)]
    return tube_depth(points, arch, 3.5)


def _fold_distance(side: Points, x: np.ndarray, depth: np.ndarray, subject: Subject) -> np.ndarray:
    """Return the distance to the nearest sulcus: zero crossings of waves, constant in depth."""
    # Four corners of a cube give the way to the surface. The cube is large on purpose: its
    # differences vanish smoothly in the middle of a lobe, where that way changes abruptly.
    step = np.float32(5)
    normal = [np.zeros_like(depth) for _ in range(3)]
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        value = _cerebrum_depth(tuple(p + step * c for p, c in zip(side, corner, strict=True)))
        for axis in range(3):
            normal[axis] += corner[axis] * value / (4 * step)
    surface = np.stack([p - depth * n for p, n in zip(side, normal, strict=True)], axis=-1)
    # The waves of the two hemispheres are unrelated.
    phases = np.where(x[:, None] < 0, subject.fold_phases, -1.7 * subject.fold_phases)
    angles = surface @ subject.fold_waves.T + phases.astype(np.float32)
    value = np.cos(angles).sum(-1)
    slope = np.sin(angles) @ subject.fold_waves
    norm = sum(n * n for n in normal) + np.float32(0.05)
    across = sum(slope[:, i] * normal[i] for i in range(3)) ** 2 / norm
    gradient = np.sqrt(np.maximum((slope * slope).sum(-1) - across, 0) + np.float32(0.02))
    # Sulci end where the way to the surface is undefined.
    bottom = (15 + 5 * np.sin(angles[:, 0] / 2)) * np.minimum(norm, 1)
    return np.hypot(value / gradient, np.maximum(depth - bottom, 0))


def _sylvian_distance(side: Points, phase: np.float32) -> np.ndarray:
    """Return the distance to the lateral fissure and to the sheet of CSF over the insula."""
    width, y, z = side
    height = np.float32(-6) - np.float32(0.45) * y + np.sin(np.float32(0.1) * y + phase)
    height += np.float32(0.2) * (width - 50)
    beyond = np.maximum(np.maximum(y - 24, -42 - y), 0)
    fissure = np.sqrt((z - height) ** 2 + np.maximum(39 - width, 0) ** 2 + beyond**2)
    beyond = np.maximum(np.maximum(y - 21, -24 - y), 0)
    above = np.maximum(np.abs(z - height - 4) - 12, 0)
    # The insula bulges outwards: its rim lies deeper than its middle.
    bulge = 41 - 0.008 * (y + 2) ** 2 - 0.02 * (z - height - 4) ** 2
    insula = np.sqrt((width - np.maximum(bulge, 35)) ** 2 + above**2 + beyond**2)
    return np.minimum(fissure, insula)


def label_brain(points: Points, subject: Subject) -> np.ndarray:
    """Label points inside the cavity of the skull.

    Args:
        points: x, y and z in the common space, in mm, shape (n,) each.
        subject: the subject.

    Returns:
        int32 array of shape (n,); 24 (CSF) where there is no tissue.
    """
    x, y, z = points
    side = (np.abs(x), y, z)
    labels = np.full(x.shape, 24, np.int32)
    depth = _cerebrum_depth(side)
    folds = _sylvian_distance(side, subject.fold_phases[0]) - np.float32(0.4)
    near = np.flatnonzero((depth > -3) & (depth < 24))
    waves = _fold_distance(tuple(p[near] for p in side), x[near], depth[near], subject)
    folds[near] = np.minimum(folds[near], waves)
    sulcus = np.float32(0.7 + 0.5 * subject.atrophy)
    pial = smooth_intersection(depth, folds - sulcus, 4)
    pial[_core_depth(points) > 0] = subject.cortex + 1
    labels[pial > 0] = 3
    labels[pial > subject.cortex] = 2
    _label_cerebellum(labels, side, subject)
    stem = (_stem_depth(points) > 0) & (z < -3)
    labels[stem] = np.where(z[stem] > -66, 16, 126)
    _label_nuclei(labels, points, side, subject)
    paired = np.isin(labels, list(RIGHT_OF)) & (x > 0)
    labels[paired] = _RIGHT_TABLE[labels[paired]]
    return labels


def _label_cerebellum(labels: np.ndarray, side: Points, subject: Subject) -> None:
    width, y, z = side
    depth = _cerebellum_depth(side)
    labels[depth > 0] = 8
    # White branches fan out from the middle of the cerebellum to its surface.
    angle = np.arctan2(z + 33, -48 - y)
    branch = np.cos(7 * angle + subject.fold_phases[0] + width * np.float32(0.06))
    rim = np.float32(13.5) - 9.5 * np.maximum(branch, 0) ** 2
    labels[depth > rim] = 7
    peduncle = tube_depth(side, [(9, -30, -32, 6), (22, -48, -36, 6)])
    labels[peduncle > 0] = 7


def _label_nuclei(labels: np.ndarray, points: Points, side: Points, subject: Subject) -> None:
    """Write the deep grey nuclei, the ventricles and the diencephalon over the white matter."""
    width, y, z = side
    size = np.float32(subject.nuclei)
    wide = np.where(points[0] < 0, *(np.float32(v) for v in subject.ventricles))
    # Wide ventricles push the nuclei beside them outwards.
    push = 4 * (wide - 1)
    labels[ellipsoid_depth(side, (9, -15, -8), (11, 11, 7.5)) > 0] = 28
    thalamus = (width - 0.5 * push + np.float32(0.22) * (y + 18), y, z)
    labels[ellipsoid_depth(thalamus, (12, -18, 8), np.multiply(size, [10, 16, 10])) > 0] = 10
    tilted = width + np.float32(0.3) * (y - 2)
    labels[
        ellipsoid_depth((tilted, y, z), (20.3, -3, 1.5), np.multiply(size, [5.8, 11, 7.5])) > 0
    ] = 13
    labels[
        ellipsoid_depth((tilted, y, z), (27.2, 3, 2), np.multiply(size, [5.7, 17.5, 11.5])) > 0
    ] = 12
    hippocampus = [(23, -9, -19, 6.2), (28, -22, -15, 5.2), (28, -35, -5, 4)]
    labels[tube_depth(side, hippocampus) > 0.6 * subject.atrophy] = 17

    horns = [(11, 33, 4, 2.5), (9, 20, 11, 4.5), (9, -3, 19, 4.5), (14, -27, 18, 5.5)]
    horns += [(25, -42, 11, 6.5), (24, -58, 7, 4), (21, -76, 6, 1)]
    ventricle = tube_depth(side, horns)
    radius = 4.8
    ventricle += radius * (wide - 1)
    labels[(ventricle > 0) & (width > 0.9) & (_callosum_depth(points) < 0)] = 4
    caudate = (width - push, y, z)
    body = [(12.5, 21, 3, 6.2), (14.5, 9, 13, 4.8), (17.5, -8, 20, 3.3), (22, -26, 19, 2)]
    labels[tube_depth(caudate, body) > 6 * (1 - size)] = 11
    third = ellipsoid_depth(points, (0, -13, 0), (1.8 + 2.4 * subject.atrophy, 15, 11))
    labels[third > 0] = 14
    labels[ellipsoid_depth(points, (0, -42, -34), (7, 4.5, 10)) > 0] = 15


RIGHT_OF = {2: 41, 3: 42, 4: 43, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52, 17: 53, 28: 60}
_RIGHT_TABLE = np.arange(max(RIGHT_OF.values()) + 1, dtype=np.int32)
for _left, _right in RIGHT_OF.items():
    _RIGHT_TABLE[_left] = _right
