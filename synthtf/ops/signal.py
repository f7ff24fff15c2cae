"""Signal of MRI sequences from proton density and relaxation times, in closed form.

Tissue is at rest and in the steady state, all transverse magnetisation is spoiled before the
next excitation, and inversion is adiabatic: it is complete for any transmit field. All times
are in the same unit, such as ms, and angles are in radians. Arguments that describe the
sequence, and the transmit field, broadcast with the maps.

Reference: Bernstein, King and Zhou, Handbook of MRI Pulse Sequences, 2004, chapter 14;
    Deichmann et al., Optimization of 3-D MP-RAGE sequences, NeuroImage 2000; Marques et al.,
    MP2RAGE, NeuroImage 2010, equations 1-2.
"""

import math
from typing import Any

from keras import ops

from synthtf.ops.elementwise import in_whole_vectors

Tensor = Any

_SHORTEST = 1e-3
_SMALLEST_COSINE = 1e-6


def relaxation_rate(time: Tensor) -> Tensor:
    """Invert a relaxation time; zero, where there is no tissue, gives a large rate.

    Args:
        time: T1 or T2, `(batch, ...)`.

    Returns:
        Tensor of the same shape, 1 / time.

    Example:
        >>> from keras import ops
        >>> float(relaxation_rate(ops.array(800.0)) * 1600)
        2.0
    """
    return 1.0 / ops.maximum(time, _SHORTEST)


def decay(rate: Tensor, time: Tensor) -> Tensor:
    """Return the share that is left after a time, `exp(-time rate)`.

    Args:
        rate: 1 / T1 or 1 / T2, `(batch, ...)`.
        time: elapsed time, a number or a tensor that broadcasts with `rate`.

    Returns:
        Tensor of the shape of `rate`.

    Example:
        >>> from keras import ops
        >>> round(float(decay(ops.array([[1 / 80]]), 80.0)[0, 0]), 3)
        0.368
    """
    return in_whole_vectors(ops.exp, -time * rate)


def spin_echo_flip(transmit: Tensor) -> Tensor:
    """Return the share of a spin echo left by pulses of `b 90°` and `b 180°`.

    `sin(b 90°) sin²(b 90°)`: the part that the first pulse tips, times the part that the second
    refocuses.

    Args:
        transmit: relative transmit field b, `(batch, ...)`; 1 is nominal.

    Returns:
        Tensor of the same shape.

    Example:
        >>> from keras import ops
        >>> round(float(spin_echo_flip(ops.array([[1.0]]))[0, 0]), 3)
        1.0
    """
    sine = in_whole_vectors(ops.sin, transmit * (0.5 * math.pi))
    return sine * sine * sine


def saturation_recovery(rate: Tensor, repetition_time: Tensor) -> Tensor:
    """Return the longitudinal magnetisation before each 90° pulse: `1 - exp(-TR / T1)`.

    Args:
        rate: 1 / T1, `(batch, ...)`.
        repetition_time: TR.

    Returns:
        Tensor of the shape of `rate`, as a share of the equilibrium.

    Example:
        >>> from keras import ops
        >>> round(float(saturation_recovery(ops.array([[1 / 800]]), 800.0)[0, 0]), 3)
        0.632
    """
    return 1.0 - decay(rate, repetition_time)


def inversion_recovery(rate: Tensor, repetition_time: Tensor, inversion_time: Tensor) -> Tensor:
    """Return the longitudinal magnetisation before the 90° pulse after an inversion, with sign.

    `1 - 2 exp(-TI / T1) + exp(-TR / T1)`.

    Args:
        rate: 1 / T1, `(batch, ...)`.
        repetition_time: TR.
        inversion_time: TI.

    Returns:
        Tensor of the shape of `rate`, as a share of the equilibrium.

    Example:
        >>> from keras import ops
        >>> null = 800 * math.log(2)  # without the last term, the signal crosses zero here
        >>> bool(abs(inversion_recovery(ops.array([[1 / 800]]), 1e5, null)[0, 0]) < 1e-6)
        True
    """
    return 1.0 - 2.0 * decay(rate, inversion_time) + decay(rate, repetition_time)


def spoiled_gradient_echo(rate: Tensor, repetition_time: Tensor, flip_angle: Tensor) -> Tensor:
    """Return the transverse magnetisation of a spoiled gradient echo in the steady state.

    Ernst's `sin α (1 - E) / (1 - cos α E)`, with `E = exp(-TR / T1)`.

    Args:
        rate: 1 / T1, `(batch, ...)`.
        repetition_time: TR.
        flip_angle: α, in radians, a tensor with a batch axis.

    Returns:
        Tensor of the shape of `rate`, as a share of the equilibrium.

    Example:
        >>> from keras import ops
        >>> angle = ops.array([[0.5 * math.pi]])
        >>> round(float(spoiled_gradient_echo(ops.array([[1 / 800]]), 800.0, angle)[0, 0]), 3)
        0.632
    """
    left = decay(rate, repetition_time)
    sine, cosine = _sine_and_cosine(flip_angle)
    return sine * (1.0 - left) / ops.maximum(1.0 - cosine * left, _SMALLEST_COSINE)


def prepared_gradient_echo(
    rate: Tensor,
    repetition_time: Tensor,
    inversion_time: Tensor,
    flip_angle: Tensor,
    echo_spacing: float,
    num_lines: int,
) -> Tensor:
    """Return the transverse magnetisation of an inversion-prepared train of gradient echoes.

    Every TR holds an inversion, a delay `TA`, a train of n excitations by α, and a delay `TB`.
    The excitations are τ apart, and the middle of the train is at TI and fills the centre of
    k-space: `TA = TI - nτ/2`, `TB = TR - TI - nτ/2`. With `E = exp(-τ/T1)` and `q = E cos α`, the
    train drives the magnetisation from `M₁` towards `M* = (1 - E) / (1 - q)`: after k excitations
    it is `M* + (M₁ - M*) qᵏ`. In the steady state, the magnetisation M before the inversion
    gives `M₁ = 1 - (1 + M) EA` and returns after the train and TB:

        M = (1 - EB + EB (M* (1 - qⁿ) + (1 - EA) qⁿ)) / (1 + EA EB qⁿ)

    The signal is `sin α (M* + (M₁ - M*) q^(n/2))`, with sign.

    Args:
        rate: 1 / T1, `(batch, ...)`.
        repetition_time: TR, from one inversion to the next.
        inversion_time: TI, from the inversion to the middle of the train.
        flip_angle: α, in radians, below 90°; a tensor with a batch axis.
        echo_spacing: τ.
        num_lines: n.

    Returns:
        Tensor of the shape of `rate`, as a share of the equilibrium.

    Example:
        >>> from keras import ops
        >>> white, grey = ops.array([[1 / 800]]), ops.array([[1 / 1300]])
        >>> train = (2300.0, 900.0, ops.array([[0.15]]), 7.0, 160)
        >>> contrast = prepared_gradient_echo(white, *train) - prepared_gradient_echo(grey, *train)
        >>> bool(contrast[0, 0] > 0)
        True
    """
    half = 0.5 * num_lines * echo_spacing
    before = decay(rate, ops.relu(inversion_time - half))
    after = decay(rate, ops.relu(repetition_time - inversion_time - half))
    left = decay(rate, echo_spacing)
    sine, cosine = _sine_and_cosine(flip_angle)
    cosine = ops.maximum(cosine, _SMALLEST_COSINE)
    logarithm = in_whole_vectors(ops.log, cosine)
    to_middle = in_whole_vectors(ops.exp, 0.5 * num_lines * logarithm - half * rate)
    to_end = to_middle * to_middle
    limit = (1.0 - left) / (1.0 - cosine * left)
    recovered = limit * (1.0 - to_end) + (1.0 - before) * to_end
    steady = (1.0 - after + after * recovered) / (1.0 + before * after * to_end)
    start = 1.0 - (1.0 + steady) * before
    return sine * (limit + (start - limit) * to_middle)


def _sine_and_cosine(angle: Tensor) -> tuple[Tensor, Tensor]:
    return in_whole_vectors(ops.sin, angle), in_whole_vectors(ops.cos, angle)
