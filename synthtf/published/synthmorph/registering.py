"""From two scans to the transforms between them, as SynthMorph finds them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from synthtf.data.volumes import Volume
from synthtf.inference.defaults import MIN_STEPS, STEPS
from synthtf.inference.patches.memory import SCAN_BYTES, MemoryBudget
from synthtf.published.synthmorph.defaults import EXTENT, MODELS
from synthtf.published.synthmorph.directions import Direction
from synthtf.published.synthmorph.matrices import about
from synthtf.published.synthmorph.networks import Warp, align, deform, halved
from synthtf.published.synthmorph.spaces import Spaces

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Networks:
    """The networks that a registration needs.

    Attributes:
        detector: affine or rigid, from `load_synthmorph_detector`.
        deformable: from `load_synthmorph_deformable`.
    """

    detector: "keras.Model | None" = None
    deformable: "keras.Model | None" = None


@dataclass(frozen=True)
class Found:
    """What a registration finds.

    Attributes:
        forward: moves the moving image to the fixed one.
        inverse: moves the fixed image to the moving one.
        spaces: where the networks saw the images.
        seen: what they saw.
    """

    forward: Direction
    inverse: Direction
    spaces: Spaces
    seen: tuple[np.ndarray, np.ndarray] = field(repr=False)


def register(
    moving: Volume,
    fixed: Volume,
    networks: Networks,
    model: str = MODELS[0],
    *,
    init: np.ndarray | None = None,
    mid_space: bool = False,
    steps: int = STEPS,
    extent: int = EXTENT,
    budget: MemoryBudget | None = None,
) -> Found:
    """Register two scans as SynthMorph does.

    Args:
        moving: moving scan.
        fixed: fixed scan.
        networks: those that the model needs.
        model: one of `MODELS`.
        init: `(4, 4)` transform to start from, from RAS mm of the moving to RAS mm of the fixed
            scan. None: none.
        mid_space: whether each scan goes half of the way of `init`.
        steps: squarings that integrate the velocity, at least 5.
        extent: voxels per axis of the cube that the networks see; a multiple of what they need.
        budget: memory that the process may take. None: no limit.

    Returns:
        The transforms in both directions.

    Raises:
        ValueError: if an argument, a scan or the networks do not fit.
    """
    if model not in MODELS:
        raise ValueError(f"`model` must be one of {MODELS}. Received: model={model!r}")
    if steps < MIN_STEPS:
        raise ValueError(f"`steps` must be at least {MIN_STEPS}. Received: steps={steps}")
    if mid_space and init is None:
        raise ValueError("`mid_space` needs `init`. Received: mid_space=True, init=None")
    for scan in (moving, fixed):
        if scan.data.ndim != 3:
            raise ValueError(
                f"{scan.name} must be a volume of three axes and one frame. "
                f"Received: {scan.data.shape}"
            )
    _check_extent(extent, networks, model)
    spaces = Spaces.of(moving, fixed, extent, centered=model != "deform")
    if init is not None:
        spaces = spaces.started(init, mid_space)
    limits = (budget or MemoryBudget()).for_scan((moving.data.size + fixed.data.size) * SCAN_BYTES)
    images = spaces.images()
    matrix = None
    if model in ("affine", "rigid"):
        matrix = about(
            (extent - 1) / 2,
            align(networks.detector, _halves(images), extent, model == "rigid", limits),
        )
        transforms = (
            spaces.to_moving @ matrix @ np.linalg.inv(spaces.to_fixed),
            spaces.to_fixed @ np.linalg.inv(matrix) @ np.linalg.inv(spaces.to_moving),
        )
    else:
        if model == "joint":
            matrix = align(networks.detector, _halves(images), extent // 2, False, limits)
        there, back = deform(networks.deformable, images, steps, matrix, limits)
        transforms = (
            Warp(np.linalg.inv(spaces.to_fixed), there, spaces.to_moving),
            Warp(np.linalg.inv(spaces.to_moving), back, spaces.to_fixed),
        )
    forward = Direction(moving, fixed, transforms[0])
    return Found(forward, Direction(fixed, moving, transforms[1]), spaces, images)


def _halves(images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    first, second = (np.ascontiguousarray(halved(image)) for image in images)
    return first, second


def _check_extent(extent: int, networks: Networks, model: str) -> None:
    """Check that the networks can work on a cube.

    Raises:
        ValueError: if a network is missing, or its levels do not divide half of the extent.
    """
    needed = {
        "detector": model != "deform",
        "deformable": model in ("joint", "deform"),
    }
    for name, network in vars(networks).items():
        if not needed[name]:
            continue
        if network is None:
            raise ValueError(f"`networks` must have a {name} for model={model!r}. Received: none")
        pools = sum(type(layer).__name__ == "MaxPooling3D" for layer in network.layers)
        multiple = 2 ** (pools + 1)
        if extent < multiple or extent % multiple:
            raise ValueError(
                f"`extent` must be a multiple of {multiple} for these networks. "
                f"Received: extent={extent}"
            )
