"""Proton density and relaxation times of tissues between 1.5 and 3 T."""

from collections.abc import Sequence

from synthtf.ranges import Range, as_range

Ranges = tuple[tuple[float, float], ...]

PARAMETERS = ("proton density", "T1", "T2", "T2*")

# Proton density relative to water, then T1, T2 and T2* in ms. Ranges span 1.5 T to 3 T and
# what studies disagree about.
#
# [1] Stanisz et al., MRM 2005: T1, T2 of white and grey matter, muscle, blood at 1.5 and 3 T.
# [2] Peters et al., Magnetic Resonance Imaging 2007: T2* of white, cortical and deep grey
#     matter at 1.5 and 3 T.
# [3] Wright et al., MAGMA 2008: T1 of white, cortical and deep grey matter at 1.5 and 3 T.
# [4] Kwan et al., IEEE TMI 1999 (BrainWeb): proton densities, T2*, lesion at 1.5 T.
# [5] Rooney et al., MRM 2007: T1 of CSF; Spijkerman et al., MAGMA 2018: its T2.
# [6] Gold et al., AJR 2004; de Bazelaire et al., Radiology 2004: fat, muscle, marrow.
# [7] Reichert et al., Magnetic Resonance Imaging 2005: T1, T2* of cortical bone.
# [8] Richard et al., Journal of Investigative Dermatology 1991: skin.
TISSUES: dict[str, Ranges] = {
    "air": ((0, 0), (0, 0), (0, 0), (0, 0)),
    "white matter": ((0.65, 0.77), (600, 1100), (65, 85), (45, 66)),  # [1-4]
    "gray matter": ((0.78, 0.88), (1100, 1820), (85, 110), (50, 84)),  # [1-4]
    "deep gray matter": ((0.74, 0.84), (900, 1450), (65, 95), (30, 60)),  # [2, 3]
    "brainstem": ((0.70, 0.80), (700, 1200), (70, 95), (45, 66)),  # [1, 3], between the two
    "CSF": ((0.97, 1.0), (3600, 4500), (500, 2200), (250, 1500)),  # [4, 5]
    "lesion": ((0.80, 0.95), (1000, 2000), (110, 250), (70, 200)),  # [4]
    "blood": ((0.80, 0.95), (1440, 1930), (80, 290), (20, 100)),  # [1], at rest
    "fat": ((0.90, 1.0), (290, 380), (58, 135), (20, 60)),  # [4, 6]
    "muscle": ((0.75, 0.90), (1000, 1420), (30, 50), (20, 35)),  # [1, 4, 6]
    "skin": ((0.60, 0.85), (800, 1300), (20, 45), (10, 30)),  # [8]
    "bone": ((0.10, 0.25), (140, 260), (0.3, 0.6), (0.3, 0.6)),  # [7]
    "bone marrow": ((0.60, 0.90), (290, 590), (45, 70), (5, 20)),  # [6]
    "soft tissue": ((0.10, 1.0), (290, 1420), (10, 135), (5, 60)),  # any of those of the head
}

_ALIASES = {
    "background": "air",
    "WM": "white matter",
    "cortex": "gray matter",
    "GM": "gray matter",
    "deep grey": "deep gray matter",
    "brain stem": "brainstem",
    "fluid": "CSF",
    "cerebrospinal fluid": "CSF",
    "vessel": "blood",
    "scalp": "skin",
    "skull": "bone",
    "marrow": "bone marrow",
    "outside": "soft tissue",
    "unknown": "soft tissue",
}


def tissue_ranges(tissue: str | Sequence[Range]) -> Ranges:
    """Give the ranges of a tissue.

    Args:
        tissue: a name of `TISSUES`, or another spelling of it: upper or lower case, "grey",
            or the names that label tables use; any other name counts as "soft tissue". Or the
            four ranges themselves, in the order of `PARAMETERS`.

    Returns:
        `(low, high)` of proton density, T1, T2 and T2*.

    Raises:
        ValueError: if there are not four ranges, one is reversed or negative, or a proton
            density exceeds one.

    Example:
    >>> tissue_ranges("cortex") == tissue_ranges("Grey matter") == TISSUES["gray matter"]
    True
    """
    if isinstance(tissue, str):
        name = tissue.lower().replace("grey", "gray").strip()
        return _BY_NAME.get(name, TISSUES["soft tissue"])
    try:
        ranges = tuple(tissue)
    except TypeError:
        ranges = ()
    if len(ranges) != len(PARAMETERS):
        raise ValueError(
            f"`tissues` must hold names or four ranges each, of {', '.join(PARAMETERS)}. "
            f"Received: {tissue!r}"
        )
    largest = (1.0,) + (float("inf"),) * (len(PARAMETERS) - 1)
    return tuple(
        as_range(given, f"tissues, {name}", 0, bound)
        for given, name, bound in zip(ranges, PARAMETERS, largest, strict=True)
    )


_BY_NAME = {name.lower(): ranges for name, ranges in TISSUES.items()}
_BY_NAME.update({a.lower().replace("grey", "gray"): TISSUES[n] for a, n in _ALIASES.items()})
