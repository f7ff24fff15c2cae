"""Sizes, labels and recipe of the demonstration, chosen for two slow processor cores."""

from dataclasses import dataclass, field, replace

import numpy as np

from synthtf.data.label_table import LabelTable
from synthtf.data.phantoms import head_phantom, phantom_table
from synthtf.layers import (
    RandomAffine,
    RandomBiasField,
    RandomBlur,
    RandomFlip,
    RandomGamma,
    RandomIntensity,
    RandomNoise,
    RandomWarp,
)
from synthtf.networks import UNetConfig
from synthtf.synthesis import Recipe

CONTRASTS = ("T1", "T2", "FLAIR", "CT")
"""Contrasts that heads are tested in."""

STEPS = 1000
"""Steps of training, after which every contrast has the Dice that the README names."""

LIMIT = 30.0
"""Minutes that the steps may take, many times what they take on two cores that are idle."""

# At the demonstration's voxel size, what is small is segmented together with its neighbours:
# output label to its name and to the labels that count as it.
_OUTPUTS: dict[int, tuple[str, tuple[int, ...]]] = {
    2: ("left cerebral white matter", (2,)),
    3: ("left cerebral cortex", (3,)),
    4: ("left lateral ventricle", (4,)),
    8: ("left cerebellum", (7, 8)),
    10: ("left deep grey matter", (10, 11, 12, 13, 17, 28)),
    16: ("brain stem", (16,)),
    24: ("CSF", (14, 15, 24)),
    41: ("right cerebral white matter", (41,)),
    42: ("right cerebral cortex", (42,)),
    43: ("right lateral ventricle", (43,)),
    47: ("right cerebellum", (46, 47)),
    49: ("right deep grey matter", (49, 50, 51, 52, 53, 60)),
}

# Labels that differ in place but hardly in intensity, whatever the contrast, share a mean.
_TISSUES: dict[str, tuple[int, ...]] = {
    "WM": (2, 41, 7, 46, 16, 126),
    "cortex": (3, 42, 8, 47, 17, 53),
    "deep grey": (10, 11, 12, 13, 28, 49, 50, 51, 52, 60),
    "fluid": (4, 43, 14, 15, 24, 259),
    "muscle": (123,),
    "bone": (165,),
    "fat": (258,),
}


def demo_table() -> LabelTable:
    """Return the label table of the phantoms with the demonstration's twelve structures.

    Returns:
        The table; an output label has the name of all that counts as it.
    """
    table = phantom_table()
    output = {label: value for value, (_, labels) in _OUTPUTS.items() for label in labels}
    tissue = {label: name for name, labels in _TISSUES.items() for label in labels}
    names = zip(table.ids, table.names, strict=True)
    return replace(
        table,
        names=tuple(_OUTPUTS[i][0] if i in _OUTPUTS else name for i, name in names),
        outputs=tuple(output.get(i, 0) for i in table.ids),
        groups=tuple(tissue.get(i, "background") for i in table.ids),
    )


def demo_recipe() -> Recipe:
    """Return the recipe of the demonstration.

    It is milder than what real scans need: the poses of the phantoms are alike, and minutes are
    few.
    """
    return Recipe(
        [
            RandomAffine(translation=(-4, 4), rotation=(-5, 5), scaling=(0.95, 1.05), shear=0),
            RandomWarp((0, 2), control_points=(3, 6), integration_steps=3),
            RandomFlip(),
            RandomIntensity(std=(0, 0.05), groups="tissues", background_probability=0.05),
            RandomBiasField(form="exponential", std=(0, 0.2)),
            RandomBlur(),
            RandomNoise(std=(0, 0.04)),
            RandomGamma(gamma=(0.8, 1.25)),
        ]
    )


@dataclass(frozen=True)
class DemoSettings:
    """What the demonstration does, and how much of it.

    Attributes:
        steps: Of training. None: `STEPS`, or as many as the minutes are enough for.
        minutes: Of training at most. None: `LIMIT`, or no limit if the steps are given.
        seed: Of heads, images and network; in [0, 100000).
        spacing: Voxel size in mm; the heads are thickened for it.
        head_shape: Voxels of the phantoms, which hold whole heads.
        shape: Voxels of the synthetic images, around the brain, and of the scans in the test:
            instance normalisation makes a network depend on how much of a scan is air and neck.
        num_heads: Phantoms for training.
        num_held_out: Phantoms for the test.
        num_samples: Synthetic images to look at before the training.
        network: Size of the U-Net. Its mixture adapts to the contrast of each image.
        loss: Name of a segmentation loss.
        recipe: Ranges of the synthesis.
        learning_rate: At the start.
        steps_per_epoch: At least; a run stops between epochs.
        validate_every: Epochs between validations on another phantom in every contrast.
    """

    steps: int | None = None
    minutes: float | None = None
    seed: int = 0
    spacing: float = 4.0
    head_shape: tuple[int, int, int] = (48, 56, 48)
    shape: tuple[int, int, int] = (40, 48, 40)
    num_heads: int = 32
    num_held_out: int = 3
    num_samples: int = 9
    network: UNetConfig = field(default_factory=lambda: UNetConfig(12, 4, mixture_channels=2))
    loss: str = "dice"
    recipe: Recipe = field(default_factory=demo_recipe)
    learning_rate: float = 5e-3
    steps_per_epoch: int = 50
    validate_every: int = 5

    def __post_init__(self) -> None:
        """Check what a user can set."""
        if self.steps is not None and (int(self.steps) != self.steps or self.steps < 1):
            raise ValueError(f"expected steps as a whole number above 0, received {self.steps}")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise ValueError(f"expected minutes above 0, received {self.minutes}")
        if int(self.seed) != self.seed or not 0 <= self.seed < 100_000:
            raise ValueError(
                f"expected seed as a whole number in [0, 100000), received {self.seed}"
            )

    @property
    def planned_steps(self) -> int | None:
        """Steps of training if the minutes are enough. None: as many as they are enough for."""
        return STEPS if self.steps is None and self.minutes is None else self.steps

    @property
    def limit(self) -> float | None:
        """Minutes of training at most, if there is a limit."""
        return LIMIT if self.steps is None and self.minutes is None else self.minutes

    @property
    def epochs(self) -> int:
        """Epochs of training: more than fit into any number of minutes if only these are given."""
        steps = self.planned_steps
        return 10_000 if steps is None else max(1, steps // self.steps_per_epoch)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch, so that all make the steps of training."""
        steps = self.planned_steps
        return self.steps_per_epoch if steps is None else steps // self.epochs

    def head(self, seed: int) -> np.ndarray:
        """Make a phantom on the grid of the synthetic images."""
        return head_phantom(seed, self.shape, self.spacing, detail=self.spacing)

    @property
    def first_head(self) -> int:
        """Seed of the first phantom for training."""
        return 1000 * self.seed

    @property
    def validation_head(self) -> int:
        """Seed of the phantom that the training is validated on, which serves for nothing else."""
        return 1000 * self.seed + 800

    @property
    def first_held_out(self) -> int:
        """Seed of the first phantom for the test: no phantom serves for both."""
        return 1000 * self.seed + 900
