"""An ensemble of small networks that tell the quantiles of what the effects leave of ln(tokens).

Each: standardised numbers, 32 tanh units and a linear way past them, then a median and gaps
(softplus, so that quantiles never cross) upwards and downwards. The loss is the pinball loss
(Koenker and Bassett 1978) summed over LEVELS, minimised by Adam (Kingma and Ba 2015) with a
learning rate that falls to 0, and dropout of the input (Srivastava et al. 2014). All members
see the same batches, so that one matrix product serves them all; they differ in their start.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

LEVELS: Final = (0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
"""More than the promised levels: ``recommended`` needs the lower half too."""

MEDIAN: Final = LEVELS.index(0.50)

MEMBERS: Final = 5
UNITS: Final = 32
DROPOUT: Final = 0.3
RATE: Final = 3e-3
BATCH: Final = 64
"""Chosen on rows 30-60 % of the four development files, where all of it is flat: 24 or 48 units,
rates from 1e-3 and dropout from .2 differ by less than .01 of skill at q50 and q90."""

_LEVELS: Final[Singles] = np.array(LEVELS, np.float32)
_COUNT: Final = len(LEVELS)
_GAPS: Final = (-1.0, -0.6, 0.0, -1.0, -0.6, -1.0, -0.5)  # the start, of a spread of about .5
_CLIP: Final = 3.0
_LEAST: Final = 1e-3
_MOMENTUM, _SQUARES, _TINY = 0.9, 0.999, 1e-8


class Network:
    """The networks' weights, with what standardises their input.

    ``weights`` are all in one: of units and their bias, of the heads by unit, of the linear way,
    and of the heads' bias.
    """

    __slots__ = ("mean", "scale", "weights")

    def __init__(self, mean: Singles, scale: Singles, weights: Singles) -> None:
        self.mean = mean
        self.scale = scale
        self.weights = weights

    def predict(self, inputs: Singles) -> Floats:
        """Quantiles (n, LEVELS) of what the effects leave, the mean of all members'."""
        _, _, raw = _forward(self.standard(inputs), _parts(self.weights, len(self.mean)))
        return np.asarray(_heads(raw).mean(axis=0), np.float64)

    def standard(self, inputs: Singles) -> Singles:
        """Inputs with mean 0 and deviation 1, cut off at some deviations."""
        standard = inputs - self.mean
        standard *= self.scale
        standard.clip(-_CLIP, _CLIP, out=standard)
        return standard


class Training:
    """A network of ``size`` inputs while it is trained: from one start, in one random order."""

    def __init__(self, size: int, *, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        weights = np.zeros(_size(size), np.float32)
        units, _, heads, _, bias = _parts(weights, size)
        units[:] = self._random.standard_normal(units.shape, np.float32) / np.sqrt(size)
        heads[:] = self._random.standard_normal(heads.shape, np.float32) * 0.1 / np.sqrt(UNITS)
        bias[:] = _GAPS
        self.network = Network(np.zeros(size, np.float32), np.zeros(size, np.float32), weights)
        self._moment = np.zeros_like(weights)
        self._square = np.zeros_like(weights)
        self._slope = np.zeros_like(weights)
        self._steps = 0

    def train(self, inputs: Singles, rests: Singles, steps: int) -> None:
        """Take ``steps`` batches; ``rests`` are what the effects leave of ln(tokens)."""
        self._wake(inputs)
        standard = self.network.standard(inputs)
        taken = 0
        while taken < steps:
            order = self._random.permutation(len(rests))
            for start in range(0, max(len(order) - BATCH, 0) + 1, BATCH):
                batch = order[start : start + BATCH]
                self._step(standard[batch], rests[batch], RATE * (1.0 - taken / steps))
                taken += 1
                if taken == steps:
                    break

    def _wake(self, inputs: Singles) -> None:
        """Let in what varies, of the numbers that did not before.

        What never did counts for nothing: of a call that is the first to differ, networks know
        nothing that its number could tell.
        """
        spread = inputs.std(axis=0)
        woken = (self.network.scale == 0.0) & (spread > _LEAST)
        self.network.mean[woken] = inputs.mean(axis=0)[woken]
        self.network.scale[woken] = np.float32(1.0) / spread[woken]

    def _step(self, standard: Singles, rests: Singles, rate: float) -> None:
        weights, size = self.network.weights, standard.shape[1]
        kept = self._random.random(standard.shape, np.float32) >= DROPOUT
        seen = standard * kept
        seen *= np.float32(1.0 / (1.0 - DROPOUT))
        parts = _parts(weights, size)
        hidden, apart, raw = _forward(seen, parts)
        slope = _slope(raw, rests)
        n = len(rests)
        into = (slope @ parts[2].transpose(0, 2, 1)).transpose(1, 0, 2).reshape(n, -1)
        into *= 1.0 - hidden * hidden
        units, bias, heads, past, rest = _parts(self._slope, size)
        np.matmul(seen.T, into, out=units)
        into.sum(axis=0, out=bias)
        np.matmul(apart.transpose(0, 2, 1), slope, out=heads)
        np.matmul(seen.T, slope.transpose(1, 0, 2).reshape(n, -1), out=past)
        slope.sum(axis=1, keepdims=True, out=rest)
        self._descend(rate)

    def _descend(self, rate: float) -> None:
        """One step of Adam."""
        self._steps += 1
        rate *= sqrt(1.0 - _SQUARES**self._steps) / (1.0 - _MOMENTUM**self._steps)
        slope = self._slope
        self._moment *= _MOMENTUM
        self._moment += (1.0 - _MOMENTUM) * slope
        self._square *= _SQUARES
        slope *= slope
        slope *= 1.0 - _SQUARES
        self._square += slope
        np.sqrt(self._square, out=slope)
        slope += _TINY
        np.divide(self._moment, slope, out=slope)
        slope *= rate
        self.network.weights -= slope


def _size(inputs: int) -> int:
    per_member = inputs * UNITS + UNITS + UNITS * _COUNT + inputs * _COUNT + _COUNT
    return MEMBERS * per_member


def _parts(weights: Singles, inputs: int) -> tuple[Singles, Singles, Singles, Singles, Singles]:
    """Views of the parts: units, their bias, heads, the linear way, the heads' bias."""
    shapes = (
        (inputs, MEMBERS * UNITS),
        (MEMBERS * UNITS,),
        (MEMBERS, UNITS, _COUNT),
        (inputs, MEMBERS * _COUNT),
        (MEMBERS, 1, _COUNT),
    )
    parts, start = [], 0
    for shape in shapes:
        stop = start + prod(shape)
        parts.append(weights[start:stop].reshape(shape))
        start = stop
    one, two, three, four, five = parts
    return one, two, three, four, five


def _forward(
    standard: Singles, parts: tuple[Singles, Singles, Singles, Singles, Singles]
) -> tuple[Singles, Singles, Singles]:
    """The hidden units (n, all), the same by member, and the heads (members, n, LEVELS)."""
    units, bias, heads, past, rest = parts
    n = len(standard)
    hidden = np.tanh(standard @ units + bias)
    apart = hidden.reshape(n, MEMBERS, UNITS).transpose(1, 0, 2)
    direct = (standard @ past).reshape(n, MEMBERS, _COUNT).transpose(1, 0, 2)
    return hidden, apart, apart @ heads + direct + rest


def _heads(raw: Singles) -> Singles:
    """Quantiles from a median and gaps, along the last axis."""
    gaps = np.logaddexp(np.float32(0.0), raw)
    found = np.empty_like(raw)
    found[..., MEDIAN] = raw[..., MEDIAN]
    for level in range(MEDIAN + 1, _COUNT):
        found[..., level] = found[..., level - 1] + gaps[..., level]
    for level in range(MEDIAN - 1, -1, -1):
        found[..., level] = found[..., level + 1] - gaps[..., level]
    return found


def _slope(raw: Singles, rests: Singles) -> Singles:
    """The mean pinball loss's derivative by ``raw``."""
    over = rests[None, :, None] <= _heads(raw)
    by_quantile = (over - _LEVELS) / np.float32(len(rests))
    slope = np.empty_like(raw)
    slope[..., MEDIAN] = by_quantile.sum(axis=-1)
    upper = np.cumsum(by_quantile[..., :MEDIAN:-1], axis=-1)[..., ::-1]
    lower = np.cumsum(by_quantile[..., :MEDIAN], axis=-1)
    open_ = 1.0 / (1.0 + np.exp(-raw))
    slope[..., MEDIAN + 1 :] = upper * open_[..., MEDIAN + 1 :]
    slope[..., :MEDIAN] = -lower * open_[..., :MEDIAN]
    return slope
