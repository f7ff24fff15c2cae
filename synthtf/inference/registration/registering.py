"""Registration of two scans of any contrast, orientation and resolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from synthtf.data.transforms import Transform
from synthtf.data.volumes import Volume, read_volume
from synthtf.inference.applying import apply_transform
from synthtf.inference.defaults import MAX_STEPS, METHODS, MIN_STEPS, REGULARIZATION, STEPS
from synthtf.inference.kept import kept_with_network
from synthtf.inference.normalize import clip_to_window
from synthtf.inference.prediction import load_run
from synthtf.inference.registration.dense_alignment import align_densely
from synthtf.inference.registration.feature_alignment import align_maps, overlap_of_maps
from synthtf.inference.registration.image_alignment import align_images
from synthtf.inference.registration.matrices import nearest_rigid, rescaled, square_root
from synthtf.inference.registration.result import Registration, after, linear, warped
from synthtf.inference.registration.window import Window
from synthtf.inference.scan_intensities import fit_intensities

if TYPE_CHECKING:
    from synthtf.runs.run import Run
    from synthtf.training.combined import CombinedModel

# Times that an affine network sees the images, each time with what it found before undone.
_PASSES = 2
# Largest change per voxel after which a detector need not look again before a warp.
_SMALL = 0.25
# Overlap of structures from which on two scans show one head: then a rigid transform is enough. The
# texture of two heads agrees where folds of the cortex happen to, which takes structures apart.
_SAME = 0.92


def register(
    moving: "Volume | str | PathLike",
    fixed: "Volume | str | PathLike",
    model: "CombinedModel | Run | str | PathLike",
    *,
    affine: "CombinedModel | Run | str | PathLike | None" = None,
    method: str | None = None,
    regularization: float = REGULARIZATION,
    steps: int = STEPS,
    init: Transform | None = None,
    refine: bool = True,
    ct: Sequence[str] = (),
) -> Registration:
    """Register two scans with trained networks.

    Both are brought to RAS orientation and the network's spacing, and cropped about the head.
    Networks see both scans in the space in the middle, each resampled once. What they find is
    refined until the structures that their detector sees overlap, and what is there looks alike
    (`align_maps`, `align_images`, `align_densely`). An affine or rigid transform is not to look
    alike where that takes structures apart, as it does between two heads.

    Args:
        moving: a volume, or its file.
        fixed: likewise.
        model: a training run of the task "registration", its folder or name, or a model that `fit`
            trained.
        affine: one of the kind "affine" or "rigid", to come before a `model` that is deformable.
        method: "rigid", "affine", "deformable" or "joint". None: "rigid" for two scans of one head,
            whose structures a rigid transform brings upon each other, else what the runs were
            trained for.
        regularization: λ in (0, 1), how smooth a warp shall be.
        steps: squarings that integrate the velocity, 5 to 20.
        init: transform from fixed to moving scan to start from.
        refine: whether to improve what the networks find.
        ct: which are in Hounsfield units and clipped to 0-80: "moving", "fixed", both or none.

    Returns:
        Transforms in both directions and to the space in the middle.

    Raises:
        ValueError: if the scans, the run or an argument do not fit: one scan is 2D and the other
            3D, an image is empty, there is no overlap, λ is outside (0, 1), steps are too few.
        FileNotFoundError: if a file is missing.

    Reference: Hoffmann et al., SynthMorph, Imaging Neuroscience 2024.
    """
    networks = _Networks.of(
        load_run(model, "registration"),
        None if affine is None else load_run(affine, "registration"),
    )
    chosen = _check(networks, method, regularization, steps)
    moving, fixed = (
        scan if isinstance(scan, Volume) else read_volume(scan) for scan in (moving, fixed)
    )
    _check_pair(moving, fixed)
    if not set(ct) <= {"moving", "fixed"}:
        raise ValueError(f'`ct` names "moving", "fixed" or both. Received: ct={ct!r}')
    moving, fixed = (
        _fit(scan, name in ct) for scan, name in ((moving, "moving"), (fixed, "fixed"))
    )
    options = (networks, chosen, method is None, regularization, steps, refine)
    if init is None:
        return _register(moving, fixed, *options)
    start = apply_transform(moving, init, like=fixed)
    if not start.data.max() > start.data.min():
        raise ValueError(f"{moving.name}: no overlap with {fixed.name} after the init transform")
    return after(_register(start, fixed, *options), init)


def _register(
    moving: Volume,
    fixed: Volume,
    networks: "_Networks",
    method: str,
    may_be_rigid: bool,
    regularization: float,
    steps: int,
    refine: bool,
) -> Registration:
    found = None
    if method != "deformable":
        network, run = networks.affine
        windows = Window.of(moving, run), Window.of(fixed, run)
        rigid = (method == "rigid") or (None if may_be_rigid else False)
        found = _affine(network, run, windows, rigid, refine, method == "joint")
        if method in ("rigid", "affine") or found.method == "rigid":
            return found
    before = networks.affine and networks.affine[1]
    network, run = networks.deformable
    if found is None or (run.spacing, run.shape) != (before.spacing, before.shape):
        windows = Window.of(moving, run), Window.of(fixed, run)
    matrix = np.eye(4)
    if found is not None:
        to_moving, to_fixed = (window.centred for window in windows)
        matrix = np.linalg.inv(to_moving) @ found.forward.matrix @ to_fixed
    half = square_root(matrix)
    velocity = _velocity(network, *_halfway(windows, half), regularization, refine)
    return warped(windows, half, velocity, steps, method)


@dataclass(frozen=True)
class _Networks:
    """The networks of one run or two, each with the run that says what it expects.

    Attributes:
        affine: of the kind "affine" or "rigid", or the affine part of a joint one.
        deformable: likewise.
        methods: what they can do, first what they do by default.
    """

    affine: "tuple[Any, Run] | None"
    deformable: "tuple[Any, Run] | None"
    methods: tuple[str, ...]

    @classmethod
    def of(cls, run: "Run", before: "Run | None") -> "_Networks":
        kind, model = run.metadata["kind"], run.task_model
        if before is not None:
            first = before.metadata["kind"]
            if (first, kind) not in (("affine", "deformable"), ("rigid", "deformable")):
                raise ValueError(
                    "Expected an affine or rigid run to come before a deformable one. Received: "
                    f"{before.name} ({first}) and {run.name} ({kind})"
                )
            return cls((before.task_model, before), (model, run), ("joint", "affine", "rigid"))
        if kind == "joint":
            from synthtf.networks import joined_networks

            parts = joined_networks(model)
            return cls(*((part, run) for part in parts), ("joint", "affine", "rigid"))
        if kind == "deformable":
            return cls(None, (model, run), ("deformable",))
        return cls((model, run), None, ("affine", "rigid") if kind == "affine" else ("rigid",))


def _check(networks: _Networks, method: str | None, regularization: float, steps: int) -> str:
    method = method or networks.methods[0]
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: {method!r}")
    if method not in networks.methods:
        raise ValueError(
            f"The trained networks can do {', '.join(networks.methods)}. Received: "
            f"method={method!r}"
        )
    check_warp(regularization, steps)
    return method


def check_warp(regularization: float, steps: int) -> None:
    """Check what a warp shall be like.

    Args:
        regularization: λ.
        steps: squarings that integrate the velocity.

    Raises:
        ValueError: if λ is not in (0, 1), or the steps are too few or too many.
    """
    if not 0 < regularization < 1:
        raise ValueError(f"λ must lie in (0, 1). Received: {regularization:g}")
    if not MIN_STEPS <= steps <= MAX_STEPS:
        raise ValueError(
            f"Expected at least {MIN_STEPS} integration steps, and at most {MAX_STEPS}. "
            f"Received: {steps}"
        )


def _check_pair(moving: Volume, fixed: Volume) -> None:
    for scan in (moving, fixed):
        if scan.data.ndim != scan.ndim:
            raise ValueError(
                f"{scan.name}: expected one channel. Received {scan.data.shape[-1]} frames"
            )
    if moving.ndim != fixed.ndim:
        raise ValueError(
            f"Expected two images of the same number of axes. Received: {moving.name} is "
            f"{moving.ndim}D, {fixed.name} is {fixed.ndim}D"
        )
    if moving.ndim != 3:
        raise ValueError(f"{moving.name}: expected 3D images. Received: 2D")


def _fit(scan: Volume, ct: bool) -> Volume:
    """A scan whose padding is background; of Hounsfield units, what differs in brain tissue."""
    data = fit_intensities(scan.data, scan.name, ct)
    return replace(scan, data=clip_to_window(data) if ct else data)


def _call(network: Any, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    batch = {name: np.asarray(value, np.float32)[None] for name, value in inputs.items()}
    found = network.predict_on_batch({name: batch[name] for name in network.input})
    return {
        name: value if name == "features" else np.asarray(value[0], np.float64)
        for name, value in found.items()
    }


def _affine(
    network: Any,
    run: "Run",
    windows: tuple[Window, Window],
    rigid: bool | None,
    refine: bool,
    warped: bool,
) -> Registration:
    """Transform that is rigid, or is not, or, if that is None, where it is enough.

    If that finds two heads, and a warp follows, it only brings their structures together.
    """
    network = _with_features(network)
    matrix = np.eye(4)
    brief = False
    for number in range(_PASSES):
        half = square_root(matrix)
        moving, fixed = _halfway(windows, half)
        found = _call(network, moving=moving[..., None], fixed=fixed[..., None])
        step, maps = found["affine"], found.get("features")
        if maps is not None:
            voxel = run.spacing[0] * moving.shape[0] / maps.shape[1]
            size = moving.shape[0] / maps.shape[1]
        if rigid is None:
            rigid = maps is not None and _posteriors(network)
            if rigid:
                stiff = align_maps(*maps, nearest_rigid(step), run.spacing[0], voxel, True)
                rigid = overlap_of_maps(*maps, rescaled(stiff, size)) > _SAME
                brief = warped and refine and not rigid
        step = nearest_rigid(step) if rigid else step
        last = number == _PASSES - 1 or (brief and _is_small(step))
        if refine and last and maps is not None:
            step = align_maps(*maps, step, run.spacing[0], voxel, rigid)
            if not brief:
                step = _alike(network, moving, fixed, maps, step, rigid)
        matrix = half @ step @ half
        if last:
            break
    if rigid:
        return linear(windows, nearest_rigid(matrix), "rigid")
    return linear(windows, matrix, "affine")


def _is_small(matrix: np.ndarray) -> bool:
    """Whether a transform turns, scales and shears so little that maps look alike before it."""
    half = square_root(matrix)
    # Symmetric, so that swapping the images changes nothing.
    return np.abs(half - np.linalg.inv(half))[:3, :3].max() < _SMALL


def _alike(
    network: Any,
    moving: np.ndarray,
    fixed: np.ndarray,
    maps: np.ndarray,
    matrix: np.ndarray,
    rigid: bool,
) -> np.ndarray:
    """The transform with which the images look alike, unless it takes structures apart."""
    closer = align_images(moving, fixed, maps, matrix, rigid)
    there = rescaled(closer, moving.shape[0] / maps.shape[1])
    apart = _posteriors(network) and overlap_of_maps(*maps, there) <= _SAME
    return matrix if apart else closer


@kept_with_network
def _with_features(network: Any) -> Any:
    """What is used of a network, with the maps of its detector, if it has one; traced once."""
    import keras

    from synthtf.networks import has_features, with_features

    found = with_features(network).output if has_features(network) else network.output
    used = {name: found[name] for name in ("affine", "velocity", "features") if name in found}
    return keras.Model(network.input, used, name=network.name)


def _posteriors(network: Any) -> bool:
    """Whether the maps of a detector say how likely a structure is."""
    from synthtf.networks import has_competing_features

    return has_competing_features(network)


def _halfway(windows: tuple[Window, Window], half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both images in the space in the middle."""
    return windows[0].sample(half), windows[1].sample(np.linalg.inv(half))


def _velocity(
    network: Any, moving: np.ndarray, fixed: np.ndarray, regularization: float, refine: bool
) -> np.ndarray:
    """Velocity on a grid whose corners are those of the images, in its voxels."""
    found = _call(
        _with_features(network),
        moving=moving[..., None],
        fixed=fixed[..., None],
        regularization=np.array([regularization]),
    )
    if not refine:
        return found["velocity"]
    # Nobody keeps the maps, which are large.
    return align_densely(
        moving, fixed, found.pop("features", None), found["velocity"], regularization
    )
