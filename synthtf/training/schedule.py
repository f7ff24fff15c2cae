"""How long and how fast to train."""

import importlib.util
from typing import TYPE_CHECKING, Annotated, Any, Literal

from synthtf.arguments import Limits
from synthtf.options import Options, option, options

if TYPE_CHECKING:
    import keras


@options
class Schedule(Options):
    """How long and how fast to train.

    How many epochs fit into the minutes is measured in the first twentieth of them, and stored in
    the run as `planned_epochs`, so that the learning rate does not depend on the clock from then
    on. On a machine that slows down later, it has not fallen as far at the end.
    """

    epochs: Annotated[int, Limits(0)] = option(
        100, "at most so many; 0 writes the network as it begins, for example as another run"
    )
    minutes: float | None = option(
        None, "end after the epoch in which so many are over; none for no limit", metavar="M"
    )
    learning_rate: Annotated[float, Limits(0, 1)] = option(5e-3, "at the start, above 0")
    anneal: bool = option(
        True,
        "let the learning rate fall to a hundredth along a half cosine over the epochs, or over "
        "those planned for the minutes if they are fewer; else it stays, and the training can go "
        "on",
    )
    average: Annotated[float, Limits(0, 1)] = option(
        0.0,
        "momentum, below 1, of the moving average of the weights over steps that the run gets, "
        "such as 0.999; 0 for the last weights",
    )
    optimizer: Literal["muon", "adam"] = option("muon", "`ConvMuon` or Adam")
    accumulate: Annotated[int, Limits(1)] = option(
        1,
        "steps whose gradients are averaged before the weights change: the batch is so many times "
        "as large, and the memory is that of one step",
    )
    tensorboard: bool = option(
        False,
        "also write the log for TensorBoard, into the folder tensorboard of the run; needs the "
        "package tensorboard",
    )
    check_every: Annotated[int, Limits(0)] = option(
        50, "steps between looks for useless samples, which `guard.csv` lists; 0 for none"
    )
    validate: Any = option(
        None,
        "real scans to be validated on while training: a table, .csv or .tsv, with the columns "
        "image, labels or mask, domain, and ct (yes for Hounsfield units)",
        metavar="TABLE",
    )
    validate_every: Annotated[int, Limits(1)] = option(5, "epochs between such validations")

    def __post_init__(self) -> None:
        """Check every value."""
        super().__post_init__()
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"`minutes` must be positive. Received: minutes={self.minutes}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(
                f"`learning_rate` must lie in (0, 1). Received: learning_rate={self.learning_rate}"
            )
        if self.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise ValueError(
                "`tensorboard` needs the package tensorboard: pip install tensorboard. "
                "Received: tensorboard=True"
            )
        if not self.average < 1:
            raise ValueError(f"`average` must lie in [0, 1). Received: average={self.average}")

    def make_optimizer(self) -> "keras.optimizers.Optimizer":
        """Make the optimizer."""
        import keras

        from synthtf.optimizers import ConvMuon

        more = {"use_ema": True, "ema_momentum": self.average} if self.average else {}
        if self.accumulate > 1:
            more["gradient_accumulation_steps"] = self.accumulate
        optimizer = {"muon": ConvMuon, "adam": keras.optimizers.Adam}[self.optimizer]
        return optimizer(self.learning_rate, **more)
