"""Whole-head phantoms: label maps of made-up heads, for demonstrations and tests.

Every seed is another head, with other proportions, ventricles and gyri. The shapes are
formulas in mm (`synthtf.data.phantom_anatomy`), so that a head is the same at any spacing
and no data need to be downloaded. Phantoms show that a training works; they are no
substitute for label maps of real anatomy.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.phantom_anatomy import (
    WARP_EXTENT,
    WARP_KNOT_SPACING,
    Subject,
    cavity_depth,
    draw_subject,
    label_brain,
    label_head,
    thicken,
)
from synthtf.data.phantom_rendering import render_phantom
from synthtf.data.phantom_shapes import Points, spline_basis
from synthtf.ranges import as_number, as_spacing, as_whole

if TYPE_CHECKING:
    from synthtf.data.label_table import LabelTable

__all__ = ["PHANTOM_TABLE", "head_phantom", "phantom_table", "render_phantom", "write_phantoms"]

# Columns: id, name, left-right partner (None without one), output label, tissue, brain.
PHANTOM_TABLE: tuple[tuple[int, str, int | None, int, str, str], ...] = (
    (0, "background", None, 0, "background", "no"),
    (2, "left cerebral white matter", 41, 2, "WM", "yes"),
    (3, "left cerebral cortex", 42, 3, "cortex", "yes"),
    (4, "left lateral ventricle", 43, 4, "CSF", "yes"),
    (7, "left cerebellar white matter", 46, 7, "WM", "yes"),
    (8, "left cerebellar cortex", 47, 8, "cortex", "yes"),
    (10, "left thalamus", 49, 10, "deep grey", "yes"),
    (11, "left caudate", 50, 11, "deep grey", "yes"),
    (12, "left putamen", 51, 12, "deep grey", "yes"),
    (13, "left pallidum", 52, 13, "deep grey", "yes"),
    (14, "3rd ventricle", None, 14, "CSF", "yes"),
    (15, "4th ventricle", None, 15, "CSF", "yes"),
    (16, "brain stem", None, 16, "brainstem", "yes"),
    (17, "left hippocampus", 53, 17, "deep grey", "yes"),
    (24, "CSF around the brain", None, 24, "CSF", "csf"),
    (28, "left ventral diencephalon", 60, 28, "deep grey", "yes"),
    (41, "right cerebral white matter", 2, 41, "WM", "yes"),
    (42, "right cerebral cortex", 3, 42, "cortex", "yes"),
    (43, "right lateral ventricle", 4, 43, "CSF", "yes"),
    (46, "right cerebellar white matter", 7, 46, "WM", "yes"),
    (47, "right cerebellar cortex", 8, 47, "cortex", "yes"),
    (49, "right thalamus", 10, 49, "deep grey", "yes"),
    (50, "right caudate", 11, 50, "deep grey", "yes"),
    (51, "right putamen", 12, 51, "deep grey", "yes"),
    (52, "right pallidum", 13, 52, "deep grey", "yes"),
    (53, "right hippocampus", 17, 53, "deep grey", "yes"),
    (60, "right ventral diencephalon", 28, 60, "deep grey", "yes"),
    (123, "muscle", None, 0, "outside", "no"),
    (126, "spinal cord", None, 0, "outside", "no"),
    (165, "skull", None, 0, "outside", "no"),
    (258, "scalp", None, 0, "outside", "no"),
    (259, "eye fluid", None, 0, "outside", "no"),
)

# Point of the common space at the centre of the volume, in mm.
_CENTRE = (0.0, -14.0, 6.0)
# Height of the slice of a 2D head, through the thalamus.
_SLICE_HEIGHT = 6.0
# Work on slabs of about this many voxels, which stay in the processor's cache.
_SLAB_VOXELS = 150_000


def head_phantom(
    seed: int,
    shape: Sequence[int] = (96, 112, 96),
    spacing: float = 2.0,
    detail: float = 0.0,
) -> np.ndarray:
    """Make the label map of a head.

    The labels are FreeSurfer's, listed in `PHANTOM_TABLE`. The head is centred and
    upright; augmentation adds the pose. A field of view of 192 x 224 x 192 mm holds
    the head down to the upper neck.

    Args:
        seed: number of the head, a non-negative integer.
        shape: number of voxels per axis: left to right, back to front, bottom to top. With
            two axes the result is the axial slice through the thalamus.
        spacing: voxel size in mm.
        detail: voxel size in mm for which cortex, folds and other thin structures are
            thickened, since voxels of 4 mm would show a cortex of 3.5 mm as scattered dots.
            0 thickens nothing.

    Returns:
        Label map, int32 array of this shape, RAS. The same seed and detail give the same
        head at any shape and spacing.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> labels = head_phantom(0, shape=(48, 56), spacing=4.0)
        >>> labels.shape, labels.dtype.name
        ((48, 56), 'int32')
        >>> bool((labels == 10).any())  # left thalamus
        True
    """
    _check_arguments(seed, shape, spacing, detail)
    subject = thicken(draw_subject(np.random.default_rng(seed)), detail)
    axes = [((np.arange(n) - (n - 1) / 2) * spacing).astype(np.float32) for n in shape]
    if len(axes) == 2:
        height = (_SLICE_HEIGHT - _CENTRE[2]) * subject.scale[2]
        axes.append(np.array([height], np.float32))
    num_rows = max(1, _SLAB_VOXELS // (len(axes[1]) * len(axes[2])))
    slabs = [
        _label_slab([axes[0][i : i + num_rows], *axes[1:]], subject)
        for i in range(0, len(axes[0]), num_rows)
    ]
    return np.concatenate(slabs).reshape(shape)


def phantom_table() -> "LabelTable":
    """Return the label table of the phantoms.

    Returns:
        `PHANTOM_TABLE` as a `synthtf.data.LabelTable`.

    Example:
        >>> phantom_table().name(49)
        'right thalamus'
    """
    from synthtf.data.label_table import LabelTable

    ids, names, partners, outputs, groups, brain = zip(*PHANTOM_TABLE, strict=True)
    sides = tuple(
        n.split()[0] if p is not None else "none" for n, p in zip(names, partners, strict=True)
    )
    return LabelTable(ids, names, partners, outputs, groups, brain, sides)


def write_phantoms(
    folder: str | Path,
    num: int,
    seed: int = 0,
    shape: Sequence[int] = (96, 112, 96),
    spacing: float = 2.0,
    detail: float = 0.0,
) -> list[Path]:
    """Write phantoms as NIfTI files, with their label table.

    Args:
        folder: folder for `phantom_0000.nii.gz`, ... and `labels.tsv`; made if absent.
        num: number of phantoms.
        seed: seed of the first phantom; the others count up from it.
        shape: the same as in `head_phantom`.
        spacing: the same as in `head_phantom`.
        detail: the same as in `head_phantom`.

    Returns:
        The paths of the phantoms.

    Raises:
        ValueError: if an argument is out of range.
    """
    import nibabel

    num = as_whole(num, "num", 1)
    _check_arguments(seed, shape, spacing, detail)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[: len(shape), 3] = [-spacing * (n - 1) / 2 for n in shape]
    paths = []
    for number in range(num):
        labels = head_phantom(seed + number, shape, spacing, detail)
        image = nibabel.Nifti1Image(labels.astype(np.int16), affine)
        image.header.set_xyzt_units("mm")
        paths.append(folder / f"phantom_{number:04d}.nii.gz")
        nibabel.save(image, paths[-1])
    phantom_table().write(folder / "labels.tsv")
    return paths


def _check_arguments(seed: int, shape: Sequence[int], spacing: float, detail: float) -> None:
    as_whole(seed, "seed", 0)
    if len(shape) not in (2, 3):
        raise ValueError(f"`shape` must have two or three axes. Received: shape={tuple(shape)}")
    for size in shape:
        as_whole(size, "shape", 1)
    as_spacing(as_number(spacing, "spacing"))
    as_number(detail, "detail", 0)


def _label_slab(axes: Sequence[np.ndarray], subject: Subject) -> np.ndarray:
    """Label the grid spanned by three axes; coordinates in mm from the volume's centre."""
    points = _to_common_space(axes, subject)
    cavity = cavity_depth(points, subject)
    labels = label_head(points, cavity, subject)
    inside = np.flatnonzero(cavity > 0)
    labels[inside] = label_brain(tuple(p[inside] for p in points), subject)
    return labels.reshape([len(axis) for axis in axes])


def _to_common_space(axes: Sequence[np.ndarray], subject: Subject) -> Points:
    bases = [spline_basis(axis, WARP_KNOT_SPACING, WARP_EXTENT) for axis in axes]
    points = []
    for i, grid in enumerate(np.meshgrid(*axes, indexing="ij", sparse=True)):
        shift = subject.warp[i]
        for basis in bases:
            # Contracts the first axis and puts the new one last: three times restores the order.
            shift = np.tensordot(shift, basis, (0, 1))
        points.append(((grid + shift) / subject.scale[i] + np.float32(_CENTRE[i])).ravel())
    return tuple(points)
