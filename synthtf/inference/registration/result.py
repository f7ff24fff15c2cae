"""What a registration finds: transforms in both directions, and to the space in the middle."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from synthtf.data.transforms import Affine, Displacement, Transform, compose
from synthtf.inference.registration.matrices import square_root
from synthtf.inference.registration.window import Window


@dataclass(frozen=True)
class Registration:
    """What `register` returns: transforms between scanner coordinates in mm, RAS.

    Attributes:
        method: one of `METHODS`, that was asked for or chosen.
        transforms: what makes each transform, by its name; that is done when it is asked for.
    """

    method: str
    transforms: Mapping[str, Callable[[], Transform]]

    @cached_property
    def forward(self) -> Transform:
        """From points of the fixed to points of the moving scan; it moves the moving scan."""
        return self.transforms["forward"]()

    @cached_property
    def inverse(self) -> Transform:
        """From points of the moving to points of the fixed scan."""
        return self.transforms["inverse"]()

    @cached_property
    def middle_to_moving(self) -> Transform:
        """From the halfway space, equally far from both scans, to the moving scan."""
        return self.transforms["middle_to_moving"]()

    @cached_property
    def middle_to_fixed(self) -> Transform:
        """From the halfway space to the fixed scan."""
        return self.transforms["middle_to_fixed"]()


def warped(
    windows: tuple[Window, Window], half: np.ndarray, velocity: np.ndarray, steps: int, method: str
) -> Registration:
    """Make transforms of a velocity in the space in the middle.

    Args:
        windows: of the moving and the fixed scan.
        half: `(4, 4)` from voxels of the middle to those of the moving window, about the centres.
        velocity: `(x, y, z, 3)` on a grid whose corners are those of the windows, in its voxels.
        steps: squarings that integrate it.
        method: what found it.
    """
    to_moving, to_fixed = (window.centred for window in windows)
    moving, fixed = to_moving @ half, to_fixed @ np.linalg.inv(half)

    def along(share: float, end: np.ndarray, start: np.ndarray) -> Transform:
        warp = _displacement(share * velocity, windows[1].shape, steps)
        return compose(Affine(end), warp, Affine(np.linalg.inv(start)))

    return Registration(
        method,
        {
            "forward": partial(along, 1, moving, fixed),
            "inverse": partial(along, -1, fixed, moving),
            "middle_to_moving": partial(along, 0.5, moving, to_fixed),
            "middle_to_fixed": partial(along, -0.5, fixed, to_fixed),
        },
    )


def linear(windows: tuple[Window, Window], matrix: np.ndarray, method: str) -> Registration:
    """Make transforms of a matrix.

    Args:
        windows: of the moving and the fixed scan.
        matrix: `(4, 4)` from fixed to moving voxels, about the centres.
        method: what found it.
    """
    half = square_root(matrix)
    to_moving, to_fixed = (window.centred for window in windows)
    from_fixed = np.linalg.inv(to_fixed)
    forward = to_moving @ matrix @ from_fixed
    matrices = {
        "forward": forward,
        "inverse": np.linalg.inv(forward),
        "middle_to_moving": to_moving @ half @ from_fixed,
        "middle_to_fixed": to_fixed @ np.linalg.inv(half) @ from_fixed,
    }
    return Registration(method, {name: partial(Affine, x) for name, x in matrices.items()})


def after(found: Registration, init: Transform) -> Registration:
    """Give the transforms where the moving scan had been moved before.

    Args:
        found: of the scan that had been moved.
        init: what moved it.
    """
    changed = {
        "forward": lambda: compose(init, found.forward),
        "inverse": lambda: compose(found.inverse, init.inverse()),
        "middle_to_moving": lambda: compose(init, found.middle_to_moving),
    }
    return replace(found, transforms={**found.transforms, **changed})


def _displacement(velocity: np.ndarray, shape: tuple[int, ...], steps: int) -> Displacement:
    """Integrate a velocity; between voxels of the full resolution about the centre."""
    from keras import ops

    from synthtf.ops import integrate_velocity

    field = integrate_velocity(np.asarray(velocity, "float32")[None], steps)
    field = np.asarray(ops.convert_to_numpy(field)[0], np.float64)
    # As `UpsampleField` has it: displacements double, corner voxels lie on corner voxels.
    coarse = np.array(velocity.shape[:3])
    step = (np.array(shape) - 1) / (coarse - 1)
    affine = np.diag([*step, 1.0])
    affine[:3, 3] = -(coarse - 1) / 2 * step
    return Displacement(field * np.round(np.array(shape) / coarse), affine)
