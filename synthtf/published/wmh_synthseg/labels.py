"""Labels of WMH-SynthSeg, in the order of the channels of its network."""

_SIDES = {
    "white-matter": (2, 41),
    "cortex": (3, 42),
    "lateral-ventricle": (4, 43),
    "cerebellum-white-matter": (7, 46),
    "cerebellum-cortex": (8, 47),
    "thalamus": (10, 49),
    "caudate": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "accumbens": (26, 58),
    "ventral-DC": (28, 60),
}
_NEUTRAL = {
    0: "background",
    14: "3rd-ventricle",
    15: "4th-ventricle",
    16: "brainstem",
    24: "extracerebral_CSF",
    77: "WMH",
    85: "optic-chiasm",
}

NAMES = {
    **_NEUTRAL,
    **{left: f"left-{name}" for name, (left, _) in _SIDES.items()},
    **{right: f"right-{name}" for name, (_, right) in _SIDES.items()},
}
"""Label to name; the channels are in this order, first those without a side."""

LESION = 77
"""Label of white matter hyperintensities."""

TOTAL = "Intracranial-volume"
"""Name of the volume of all but the background."""

_FIRST, _SECOND = (
    tuple(range(len(_NEUTRAL) + len(_SIDES) * i, len(_NEUTRAL) + len(_SIDES) * (i + 1)))
    for i in (0, 1)
)

MIRRORED = (*range(len(_NEUTRAL)), *_SECOND, *_FIRST)
"""For each channel, the one that shows its structure in the mirrored scan."""

CENTRE = (10, 49, 4, 43)
"""Labels whose middle is that of the brain."""
