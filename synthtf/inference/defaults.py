"""What users may choose, and what is taken where they do not; light, for the command line."""

BORDER = 1.5
"""mm between the brain and the edge of its mask; SynthStrip's is 1."""

MINIMUM_SIZE = 0.0
"""mm³ below which pieces of a label are given to the labels beside them."""

OBJECT_PROBABILITY = 0.5
"""Above it, a local maximum of it proposes an object."""

OBJECT_OVERLAP = 0.4
"""Share of the smaller of two objects above which the less probable one is dropped."""

MARGIN = 1.0
"""mm around a mask that a network which fills it does not see either."""

METHODS = ("rigid", "affine", "deformable", "joint")
"""Kinds of registration; joint is affine, then deformable."""

REGULARIZATION = 0.5
"""How smooth a warp is, λ in (0, 1)."""

STEPS = 7
"""Squarings that integrate a velocity."""

MIN_STEPS, MAX_STEPS = 5, 20  # the most are time steps of a millionth

INTERPOLATIONS = ("linear", "nearest")
"""How an image that is moved is resampled, first by default."""

FILL = 0.0
"""Value where an image that is moved does not reach."""

APP_LEVELS = ("participant", "group")
"""Levels of analysis of a BIDS-App."""

APP_TASKS = ("segment", "strip", "register")
"""What a BIDS-App can do."""

APP_CHOSEN = ("segment", "strip")
"""What it does by default: the rest needs two scans of a participant."""
