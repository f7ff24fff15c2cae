"""What the vectors of a field in a NIfTI file are: displacements or positions, and in which space.

    program            axes             intent                     vectors
    ITK, ANTs          (x, y, z, 1, 3)  1007                       displacements, LPS
    NIfTI's standard   (x, y, z, 1, 3)  1006                       displacements, RAS
    synthtf, surfa     (x, y, z, 3)     0, 1006 or 1007            displacements, RAS
    SPM y_, iy_        (x, y, z, 1, 3)  1007, "Mapping"            positions, RAS
    NiftyReg           (x, y, z, 1, 3)  1007, "NREG_TRANS", p1 0   positions, RAS
    NiftyReg           (x, y, z, 1, 3)  1007, "NREG_TRANS", p1 1   displacements, RAS
    NIfTI's standard   either           1008                       positions, RAS

Warps and coefficients of FSL, and control points and velocities of NiftyReg and SPM, are refused
by name, and so are vectors that are not what the header says they are.

Reference:
    The NIfTI-1 standard (nifti1.h); ITK's `itkNiftiImageIO`; SPM12's `spm_deformations`;
    NiftyReg's `_reg_maths.h`; FSL's `fslio.h`.
"""

from dataclasses import dataclass

import numpy as np

from synthtf.data.grid import Grid
from synthtf.data.headers import FileHeader

_NONE, _DISPVECT, _VECTOR, _POINTSET = 0, 1006, 1007, 1008
_ITK_CONVERT = "convert it with wb_command -convert-warpfield -from-fnirt ... -to-itk"
_FSL = {
    2006: f"a warp of FSL in FSL's own coordinates; {_ITK_CONVERT}",
    2007: "spline coefficients of FSL; make a warp of them with fnirtfileutils, then "
    + _ITK_CONVERT,
    2008: "cosine coefficients of FSL; make a warp of them with fnirtfileutils, then "
    + _ITK_CONVERT,
    2009: "spline coefficients of FSL; make a warp of them with fnirtfileutils, then "
    + _ITK_CONVERT,
    2016: "spline coefficients of FSL's topup, in Hz",
    2017: "spline coefficients of FSL's topup, in Hz",
    2018: "a field of FSL's topup, in Hz",
}
_REG_TRANSFORM = "make a deformation field of it with reg_transform -def"
_NIFTYREG = {
    2: f"a grid of control points of NiftyReg; {_REG_TRANSFORM}",
    3: f"a velocity field of NiftyReg; {_REG_TRANSFORM}",
    4: f"a velocity field of NiftyReg; {_REG_TRANSFORM}",
    5: f"a grid of velocities of NiftyReg; {_REG_TRANSFORM}",
    6: f"a grid of control points of NiftyReg; {_REG_TRANSFORM}",
}
_VELOCITIES = ("velocity", "flow field", "momentum")
_STRETCH = (0.4, 1.7)  # how far a transform between two heads may scale along any line
_GROWTH = (0.4, 2.5)  # how far positions in it may
_LEAST_STRETCH = 0.2
_STEEP, _MOST_STEEP = 2, 0.2  # change per distance, and the share of steps that may have it
_MOST_SAMPLES = 32  # per axis
_LEAST_AXIS = 3


@dataclass(frozen=True)
class FieldKind:
    """What the vectors of a field are.

    Attributes:
        lps: whether they are in LPS, instead of RAS.
        positions: whether they are positions in the moving image, instead of displacements.
            None: as their values say.
    """

    lps: bool = False
    positions: bool | None = False


def field_kind(found: FileHeader) -> FieldKind:
    """Tell from a header what the vectors of a field are; the module's docstring lists the kinds.

    Args:
        found: header of a NIfTI file.

    Raises:
        ValueError: if it is of a kind that is not understood, or is no field; the message names it.
    """
    intent = int(found.header["intent_code"])
    name, remark = (
        found.header[key].item().decode("latin-1").strip("\0 ")
        for key in ("intent_name", "descrip")
    )
    if intent in _FSL:
        raise ValueError(f"the file is {_FSL[intent]}")
    words = f"{name} {remark}".lower()
    axes = found.shape[3:]
    known = (_NONE,) if axes == (3,) else ()
    is_field = axes in ((3,), (1, 3)) and intent in (*known, _DISPVECT, _VECTOR, _POINTSET)
    if is_field and name.upper().startswith("NREG"):
        return _of_niftyreg(name, float(found.header["intent_p1"]))
    if is_field and any(word in words for word in _VELOCITIES):
        raise ValueError(f"the file holds velocities ({name or remark}); integrate them first")
    if is_field and (intent == _POINTSET or name.lower() == "mapping"):
        return FieldKind(positions=True)
    if is_field:
        # What SPM calls its fields, also where it has set no name.
        positions = None if remark.lower().startswith("deformation") else False
        return FieldKind(axes == (1, 3) and intent == _VECTOR, positions)
    raise ValueError(
        "unknown transform type; a displacement field must have the axes (x, y, z, 1, 3) with "
        "intent 1007 (ITK, LPS) or 1006 (RAS), or (x, y, z, 3) with intent 0, 1006 or 1007 (RAS). "
        f"Received: axes {found.shape}, intent {intent}"
    )


def look_like_positions(field: np.ndarray, grid: Grid) -> bool:
    """Return whether vectors grow with the coordinates as only positions do.

    Args:
        field: `(x, y, z, 3)` in mm.
        grid: its grid.

    Returns:
        Whether, as displacements, they would stretch or fold the whole beyond belief, and would
        be a likely transform as positions, in any space.
    """
    stretch, growth = _changes(field, grid)
    as_displacements = (stretch >= _STRETCH[0]).all() and (stretch <= _STRETCH[1]).all()
    as_positions = (growth >= _GROWTH[0]).all() and (growth <= _GROWTH[1]).all()
    return bool(stretch.size > 1 and not as_displacements and as_positions)


def looks_like_a_scan(found: FileHeader, field: np.ndarray, grid: Grid) -> bool:
    """Return whether a file that no header marks as a field holds intensities, in three frames.

    Args:
        found: its header.
        field: its numbers `(x, y, z, 3)`.
        grid: its grid.
    """
    if int(found.header["intent_code"]) != _NONE:
        return False
    lengths = np.linalg.norm(grid.affine[:3, :3], axis=0)
    steep = [
        np.linalg.norm(_steps(field, axis), axis=1) > _STEEP * lengths[axis] for axis in range(3)
    ]
    share = np.concatenate(steep).mean() if any(map(len, steep)) else 0
    unsigned = found.dtype.kind == "u" and found.header.get_slope_inter()[0] in (None, 1)
    return bool(unsigned or share > _MOST_STEEP)


def collapses(field: np.ndarray, grid: Grid) -> bool:
    """Return whether displacements take everything to one place, or to a line or plane.

    Args:
        field: `(x, y, z, 3)` displacements in mm.
        grid: its grid.
    """
    stretch, _ = _changes(field, grid)
    return bool(stretch.size > 1 and stretch.min() < _LEAST_STRETCH)


def _of_niftyreg(name: str, code: float) -> FieldKind:
    if name.upper() == "NREG_TRANS" and code in (0, 1):
        return FieldKind(positions=code == 0)
    unknown = f"a transform of NiftyReg of an unknown kind ({name}, {code:g}); {_REG_TRANSFORM}"
    raise ValueError(f"the file is {_NIFTYREG.get(code, unknown)}")


def _changes(field: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much positions and vectors change per mm, along the axes of the whole.

    Returns:
        Singular values of the typical Jacobian matrices of `x + u(x)` and of `u(x)`, on the axes
        that are long enough.
    """
    axes = [axis for axis in range(3) if field.shape[axis] >= _LEAST_AXIS]
    if not axes:
        return np.zeros(0), np.zeros(0)
    columns = grid.affine[:3, axes]
    steps = np.stack([_typical_step(field, axis) for axis in axes], 1)
    # An orthonormal basis of the axes makes the result independent of the voxel size.
    _, basis = np.linalg.qr(columns)
    per_mm = np.linalg.inv(basis)
    return tuple(np.linalg.svd(m @ per_mm, compute_uv=False) for m in (columns + steps, steps))


def _typical_step(field: np.ndarray, axis: int) -> np.ndarray:
    """Median change of the vectors from one voxel to the next."""
    steps = _steps(field, axis)
    return np.median(steps, 0) if len(steps) else np.zeros(3)


def _steps(field: np.ndarray, axis: int) -> np.ndarray:
    """Changes of the vectors from one voxel to the next, where they are set, of some voxels."""
    every = [slice(None, None, max(1, -(-n // _MOST_SAMPLES))) for n in field.shape[:3]]
    here, there = list(every), list(every)
    step = every[axis].step
    here[axis], there[axis] = slice(None, -1, step), slice(1, None, step)
    first, second = (field[tuple(place)].reshape(-1, 3).astype("f8") for place in (here, there))
    used = first.any(1) & second.any(1) & np.isfinite(second - first).all(1)
    return (second - first)[used]
