"""Signal of MRI sequences from proton density and relaxation times, in closed form.

Tissue is at rest and in the steady state, all transverse magnetisation is spoiled before the
next excitation, and inversion is adiabatic, hence complete whatever the transmit field. Times
are in the unit of the relaxation times, angles in radians. Arguments that describe the
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
    """Invert a relaxation time; one of zero, where there is no tissue, gives a large rate."""
    return 1.0 / ops.maximum(time, _SHORTEST)


def decay(rate: Tensor, time: Tensor) -> Tensor:
    """Share that is left after a time, `exp(-time rate)`."""
    return in_whole_vectors(ops.exp, -time * rate)


def spin_echo_flip(transmit: Tensor) -> Tensor:
    """Loss of a spin echo whose pulses of 90° and 180° are `transmit` times as strong.

    `sin(b 90°) sin²(b 90°)`: what the first pulse tips, and what the second refocuses.
    """
    sine = in_whole_vectors(ops.sin, transmit * (0.5 * math.pi))
    return sine * sine * sine


def saturation_recovery(rate: Tensor, repetition_time: Tensor) -> Tensor:
    """Longitudinal magnetisation before each 90° pulse: `1 - exp(-TR / T1)`."""
    return 1.0 - decay(rate, repetition_time)


def inversion_recovery(rate: Tensor, repetition_time: Tensor, inversion_time: Tensor) -> Tensor:
    """Longitudinal magnetisation before the 90° pulse after an inversion, with its sign.

    `1 - 2 exp(-TI / T1) + exp(-TR / T1)`.
    """
    return 1.0 - 2.0 * decay(rate, inversion_time) + decay(rate, repetition_time)


def spoiled_gradient_echo(rate: Tensor, repetition_time: Tensor, flip_angle: Tensor) -> Tensor:
    """Transverse magnetisation in the steady state: Ernst's `sin α (1 - E) / (1 - cos α E)`."""
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
    """Transverse magnetisation of an inversion-prepared train of gradient echoes, with sign.

    Every TR holds an inversion, a delay `TA`, a train of n excitations by α, one per echo
    spacing τ, whose middle is at TI and fills the centre of k-space, and a delay `TB`:
    `TA = TI - nτ/2`, `TB = TR - TI - nτ/2`. With `E = exp(-τ/T1)` and `q = E cos α`, the
    train drives the magnetisation towards `M* = (1 - E) / (1 - q)`: after k excitations
    that started at `M₁` it is `M* + (M₁ - M*) qᵏ`. In the steady state the one before the
    inversion, M, makes `M₁ = 1 - (1 + M) EA` and returns after the train and TB:

        M = (1 - EB + EB (M* (1 - qⁿ) + (1 - EA) qⁿ)) / (1 + EA EB qⁿ)

    The signal is `sin α (M* + (M₁ - M*) q^(n/2))`.

    Args:
        rate: 1 / T1.
        repetition_time: of the inversions, TR.
        inversion_time: from the inversion to the middle of the train, TI.
        flip_angle: α, below 90°.
        echo_spacing: τ.
        num_lines: n.

    Returns:
        Tensor of the shape of `rate`.
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
