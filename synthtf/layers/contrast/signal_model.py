"""From tissue maps to the image of a sequence."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import keras
import numpy as np
from keras import ops

from synthtf import random
from synthtf.arguments import Limits
from synthtf.layers.base import RandomLayer, Tensor, as_image, expand
from synthtf.ops import signal
from synthtf.ranges import Range

_Defaults = dict[str, tuple[float, float]]

# Times in ms, angles in degrees.
SEQUENCES: dict[str, _Defaults] = {
    "spin echo": {
        "repetition_time": (400, 6000),
        "echo_time": (8, 120),
        "inversion_time": (0, 0),
        "flip_angle": (90, 90),
    },
    "spoiled gradient echo": {
        "repetition_time": (12, 50),
        "echo_time": (2, 10),
        "inversion_time": (0, 0),
        "flip_angle": (3, 40),
    },
    "mprage": {
        "repetition_time": (1900, 2600),
        "echo_time": (2, 5),
        "inversion_time": (700, 1200),
        "flip_angle": (7, 12),
    },
    "inversion recovery": {
        "repetition_time": (3000, 6000),
        "echo_time": (8, 50),
        "inversion_time": (100, 1500),
        "flip_angle": (90, 90),
    },
    "flair": {
        "repetition_time": (8000, 11000),
        "echo_time": (90, 140),
        "inversion_time": (2250, 2700),
        "flip_angle": (90, 90),
    },
}
_NAMES = tuple(SEQUENCES)
_PARAMETERS = ("repetition_time", "echo_time", "inversion_time", "flip_angle")
_GRADIENT_ECHOES = ("spoiled gradient echo", "mprage")
_INVERSIONS = ("mprage", "inversion recovery", "flair")
_ECHO_SPACING = 7.0
_NUM_LINES = 160


def _as_sequence(value: Any, name: str) -> str | tuple[str, ...]:
    chosen = value if isinstance(value, str) else tuple(value)
    if not _names(chosen) or not set(_names(chosen)) <= set(_NAMES):
        raise ValueError(
            f'`{name}` must be "random", one or several of {_NAMES}. Received: {name}={value!r}'
        )
    return chosen


def _names(sequence: str | tuple[str, ...]) -> tuple[str, ...]:
    if sequence == "random":
        return _NAMES
    return (sequence,) if isinstance(sequence, str) else tuple(sequence)


@keras.saving.register_keras_serializable(package="synthtf")
class SignalModel(RandomLayer):
    """Turn maps of proton density and relaxation times into the image of an MRI sequence.

    With `E(t) = exp(-t / T1)`, the magnitude of

    - "spin echo": `PD (1 - E(TR)) exp(-TE / T2)`;
    - "spoiled gradient echo": `PD sin α (1 - E(TR)) / (1 - cos α E(TR)) exp(-TE / T2*)`;
    - "inversion recovery": `PD (1 - 2 E(TI) + E(TR)) exp(-TE / T2)`;
    - "flair": the same with an inversion time at which CSF has next to no signal;
    - "mprage": an inversion-prepared train of 160 gradient echoes, one in 7 ms, in its
      steady state; the closed form is that of `ops.signal.prepared_gradient_echo`.

    Each sample draws its sequence, then the parameters from the ranges of that sequence. A
    transmit field b, if there is one, scales α; it weakens a spin echo by `sin³(90° b)` and
    leaves inversions, which are adiabatic, alone. There is no signal where T1, T2 or T2* is
    zero. The image is not normalised: append `MinMaxNormalize`.

    Args:
        sequence: one of those names, several of them, or "random" for all.
        repetition_time: `(low, high)`, TR in ms, for "mprage" from inversion to inversion.
            None: a range for each sequence, listed in `SEQUENCES`.
        echo_time: the same for TE, in ms.
        inversion_time: the same for TI, in ms; for "mprage" to the middle of the train.
        flip_angle: the same for α, in degrees, of the gradient echoes; below 90 for "mprage".
        **kwargs: `probability`, `seed`, `name`. A sample that is left alone is its proton
            density.

    Input shape: `(batch, *spatial, 4 or 5)`, float: proton density, T1, T2 and T2* in ms, and
        the transmit field as a ratio to the nominal flip angle.
    Output shape: `(batch, *spatial, 1)`, float32, at most the proton density.

    Raises:
        ValueError: if a sequence is unknown, a range reversed or out of bounds, or a time
            does not fit into the repetition time.

    Example:
    >>> import numpy as np
    >>> maps = np.array([1, 1000, 100, 60], "float32").reshape(1, 1, 1, 4)
    >>> layer = SignalModel("spin echo", repetition_time=1000, echo_time=100)
    >>> round(float(layer(maps)[0, 0, 0, 0]), 4)
    0.2325

    Reference: Bernstein, King and Zhou, Handbook of MRI Pulse Sequences, 2004; Deichmann et
        al., NeuroImage 2000; Marques et al., NeuroImage 2010. Training on simulated
        sequences: Jog et al., PSACNN, NeuroImage 2019; Borges et al., Medical Image
        Analysis 2024.
    """

    takes, gives, step_name = ("maps",), ("image",), "signal"

    def __init__(
        self,
        sequence: Annotated[str | Sequence[str], _as_sequence] = "random",
        repetition_time: Annotated[Range, Limits(1e-3, unit="ms")] | None = None,
        echo_time: Annotated[Range, Limits(0, unit="ms")] | None = None,
        inversion_time: Annotated[Range, Limits(0, unit="ms")] | None = None,
        flip_angle: Annotated[Range, Limits(0, 180, "degrees")] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            sequence=sequence,
            repetition_time=repetition_time,
            echo_time=echo_time,
            inversion_time=inversion_time,
            flip_angle=flip_angle,
            **kwargs,
        )
        self._chosen = _names(self.sequence)
        self._ranges = {name: self._ranges_of(name) for name in self._chosen}

    def _ranges_of(self, name: str) -> _Defaults:
        """Ranges of a sequence, after a check that its times fit into TR."""
        given = {p: getattr(self, p) for p in _PARAMETERS}
        ranges = {p: SEQUENCES[name][p] if given[p] is None else given[p] for p in _PARAMETERS}
        shortest = ranges["repetition_time"][0]
        train = 0.5 * _ECHO_SPACING * _NUM_LINES if name == "mprage" else 0.0
        early, late = ranges["inversion_time"] if name in _INVERSIONS else (train, 0.0)
        after = train if name == "mprage" else ranges["echo_time"][1]
        if early < train or late + after > shortest:
            raise ValueError(
                f'`inversion_time` and `echo_time` of "{name}" must fit into its '
                f"`repetition_time`: TI + TE <= TR, and for mprage "
                f"{train:g} <= TI <= TR - {train:g}. Received: {ranges}"
            )
        if name == "mprage" and ranges["flip_angle"][1] >= 90:
            raise ValueError(
                '`flip_angle` must be below 90 degrees for a `sequence` of "mprage". '
                f"Received: flip_angle={ranges['flip_angle']}"
            )
        return ranges

    def draw(self, key: Tensor, shape: tuple[int | None, ...]) -> dict[str, Tensor]:
        """Draw "sequence", a position in `SEQUENCES`, and its parameters, in ms and degrees."""
        index = random.integers(random.fold_in(key, "sequence"), (), 0, len(self._chosen) - 1)
        numbers = np.array([_NAMES.index(name) for name in self._chosen], "int32")
        draws = {"sequence": ops.take(ops.convert_to_tensor(numbers), index)}
        for parameter in _PARAMETERS:
            bounds = np.array([self._ranges[n][parameter] for n in self._chosen], "float32")
            low, span = (ops.take(ops.convert_to_tensor(x), index) for x in _low_and_span(bounds))
            draws[parameter] = low + span * self.uniform(key, parameter, (0.0, 1.0))
        return draws

    def transform(self, inputs: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Compute the signal of each sequence that may occur, and keep that of the sample."""
        maps = as_image(inputs)
        density, t1, t2, t2_star = (maps[..., k : k + 1] for k in range(4))
        drawn = {name: expand(draws[name], density) for name in ("sequence", *_PARAMETERS)}
        transmit = maps[..., 4:5] if maps.shape[-1] > 4 else None

        rate = signal.relaxation_rate(t1)
        magnetisation = None
        for name in self._chosen:
            new = _magnetisation(name, rate, transmit, drawn)
            here = ops.equal(drawn["sequence"], _NAMES.index(name))
            magnetisation = new if magnetisation is None else ops.where(here, new, magnetisation)

        is_gradient_echo = np.array([name in _GRADIENT_ECHOES for name in _NAMES])
        unrefocused = ops.take(ops.convert_to_tensor(is_gradient_echo), drawn["sequence"])
        time = ops.where(unrefocused, t2_star, t2)
        left = signal.decay(signal.relaxation_rate(time), drawn["echo_time"])
        is_tissue = ops.cast(ops.minimum(t1, time) > 0, "float32")
        return density * is_tissue * ops.abs(magnetisation) * left

    def identity(self, inputs: Tensor) -> Tensor:
        """Give the proton density."""
        return as_image(inputs)[..., :1]

    def output_spec(self, inputs: Any) -> Any:
        """An image of one channel, from four or five maps."""
        if inputs.shape[-1] not in (4, 5):
            raise ValueError(
                "SignalModel takes four maps, or five with the transmit field. "
                f"Received: {inputs.shape[-1]} channels"
            )
        return keras.KerasTensor((*inputs.shape[:-1], 1), "float32")


def _magnetisation(
    name: str, rate: Tensor, transmit: Tensor | None, drawn: dict[str, Tensor]
) -> Tensor:
    """Transverse magnetisation of a sequence at TE = 0, per proton density."""
    repetition, inversion = drawn["repetition_time"], drawn["inversion_time"]
    if name in _GRADIENT_ECHOES:
        angle = drawn["flip_angle"] * (math.pi / 180)
        angle = angle if transmit is None else angle * transmit
        if name == "mprage":
            return signal.prepared_gradient_echo(
                rate, repetition, inversion, angle, _ECHO_SPACING, _NUM_LINES
            )
        return signal.spoiled_gradient_echo(rate, repetition, angle)
    if name in _INVERSIONS:
        longitudinal = signal.inversion_recovery(rate, repetition, inversion)
    else:
        longitudinal = signal.saturation_recovery(rate, repetition)
    return longitudinal if transmit is None else longitudinal * signal.spin_echo_flip(transmit)


def _low_and_span(bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return bounds[:, 0], bounds[:, 1] - bounds[:, 0]
