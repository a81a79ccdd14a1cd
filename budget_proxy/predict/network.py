"""An ensemble of small networks that tell the quantiles of what the effects leave of ln(tokens).

Each: standardised numbers, 32 tanh units and a linear way past them, then a median and gaps
(softplus, so that quantiles never cross) upwards and downwards. The loss is the pinball loss
(Koenker and Bassett 1978) summed over LEVELS, minimised by Adam (Kingma and Ba 2015) with a
learning rate that falls to 0, and dropout of the input (Srivastava et al. 2014). All members
see the same batches, so that one matrix product serves them all; they differ in their start.
"""

from __future__ import annotations

from math import sqrt
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
DROPOUT: Final = 0.2
RATE: Final = 3e-3
BATCH: Final = 64
"""Chosen on rows 30-60 % of the four development files, where all of it is flat: 24 or 48 units,
rates from 1e-3 and dropout from .2 differ by less than .01 of skill at q50 and q90."""

_LEVELS: Final[Singles] = np.array(LEVELS, np.float32)
_COUNT: Final = len(LEVELS)
_ALL_LEVELS: Final = np.tile(_LEVELS, MEMBERS)
_GAPS: Final = (-1.0, -0.6, 0.0, -1.0, -0.6, -1.0, -0.5)  # the start, of a spread of about .5
# Bounds are arrays: of numbers, such are made anew by every operation.
_STEEPEST: Final = np.array(30.0, np.float32)  # beyond it softplus is the identity
_LOWEST, _HIGHEST = np.array(-3.0, np.float32), np.array(3.0, np.float32)
_LEAST: Final = 1e-3
_START: Final = 0.7  # of the units' weights, in standard deviations by 1 / sqrt(inputs)
_MOMENTUM, _SQUARES, _TINY = 0.9, 0.999, 1e-8
_WIDE: Final = MEMBERS * UNITS
_MEDIANS: Final = slice(MEDIAN, None, _COUNT)
_ONE: Final = np.float32(1.0)

Parts = tuple[Singles, Singles]


class Network:
    """The networks' weights, with what chooses and standardises their input.

    ``columns`` are the numbers that varied where they were trained; of a call that is the first
    to differ in another, nothing is known that this could tell. The weights are of all ``units``
    beside the linear way, by standard input, and what each ``begins`` at; and those of all
    ``heads`` by unit of all members, 0 from one to another's.
    """

    __slots__ = ("begins", "columns", "heads", "mean", "scale", "units")

    def __init__(
        self,
        columns: NDArray[np.int64],
        mean: Singles,
        scale: Singles,
        units: Singles,
        begins: Singles,
        heads: Singles,
    ) -> None:
        self.columns = columns
        self.mean = mean
        self.scale = scale
        self.units = units
        self.begins = begins
        self.heads = heads

    def predict(self, inputs: Singles) -> Floats:
        """Quantiles (n, LEVELS) of what the effects leave, the mean of all members'.

        The same as in training but for the last digits, in fewer steps: of one call, those cost
        more than what is computed.
        """
        both = _standard(inputs, self.columns, self.mean, self.scale) @ self.units
        both += self.begins
        raw = np.tanh(both[:, :_WIDE]) @ self.heads
        raw += both[:, _WIDE:]
        gaps = np.exp(np.minimum(raw, _STEEPEST))
        gaps += _ONE
        np.log(gaps, out=gaps)
        gaps[:, _MEDIANS] = raw[:, _MEDIANS]
        return np.asarray(gaps @ _ALL_MEANS, np.float64)


class Training:
    """A network while it is trained: from one start, in one random order.

    ``inputs`` are all that it will be trained on, sooner or later.
    """

    def __init__(self, inputs: Singles, *, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._columns = np.flatnonzero(inputs.std(axis=0) > _LEAST)
        size = len(self._columns)
        self._weights: Singles = np.zeros(_size(size), np.float32)
        self._parts = units, heads = _parts(self._weights, size)
        start = self._random.standard_normal((size, _WIDE), np.float32)
        units[:-1, :_WIDE] = start * np.float32(_START / sqrt(max(size, 1)))
        units[-1, _WIDE:] = _GAPS * MEMBERS
        heads[:] = self._random.standard_normal(heads.shape, np.float32) * 0.1 / np.sqrt(UNITS)
        self._mean: Singles = np.zeros(size, np.float32)
        self._scale: Singles = np.zeros(size, np.float32)
        self._moment = np.zeros_like(self._weights)
        self._square = np.zeros_like(self._weights)
        self._slope = np.zeros_like(self._weights)
        self._slopes = _parts(self._slope, size)
        self._steps = 0

    def train(self, inputs: Singles, rests: Singles, steps: int) -> None:
        """Take ``steps`` batches; ``rests`` are what the effects leave of ln(tokens)."""
        self._wake(inputs)
        standard = self.standard(inputs)
        standard[:, :-1] *= np.float32(1.0 / (1.0 - DROPOUT))
        taken = 0
        while taken < steps:
            order = self._random.permutation(len(rests))
            for start in range(0, max(len(order) - BATCH, 0) + 1, BATCH):
                batch = order[start : start + BATCH]
                self._step(standard.take(batch, axis=0), rests[batch], RATE * (1.0 - taken / steps))
                taken += 1
                if taken == steps:
                    break

    def network(self) -> Network:
        """What it has come to."""
        units, heads = self._parts
        apart = np.zeros((MEMBERS, UNITS, MEMBERS, _COUNT), np.float32)
        apart[np.arange(MEMBERS), :, np.arange(MEMBERS)] = heads
        return Network(
            self._columns, self._mean.copy(), self._scale.copy(), units[:-1].copy(),
            units[-1].copy(), apart.reshape(_WIDE, MEMBERS * _COUNT),
        )  # fmt: skip

    def standard(self, inputs: Singles) -> Singles:
        """Standard inputs; at their end a 1, of which units have what they begin at."""
        standard = np.ones((len(inputs), len(self._columns) + 1), np.float32)
        standard[:, :-1] = _standard(inputs, self._columns, self._mean, self._scale)
        return standard

    def _wake(self, inputs: Singles) -> None:
        """Let in what varies, of the numbers that did not before."""
        chosen = inputs[:, self._columns]
        spread = chosen.std(axis=0)
        woken = (self._scale == 0.0) & (spread > _LEAST)
        self._mean[woken] = chosen.mean(axis=0)[woken]
        self._scale[woken] = np.float32(1.0) / spread[woken]

    def _step(self, standard: Singles, rests: Singles, rate: float) -> None:
        seen = standard[:, :-1]
        seen *= self._random.random(seen.shape, np.float32) >= DROPOUT
        self._derive(standard, rests)
        self._descend(rate)

    def _derive(self, seen: Singles, rests: Singles) -> None:
        """The slope: the mean pinball loss's derivative by every weight."""
        units, heads = self._slopes
        hidden, raw = _forward(seen, self._parts)
        slope = _slope(raw, rests)
        into = np.empty((len(rests), _WIDE + MEMBERS * _COUNT), np.float32)
        into[:, _WIDE:] = slope.reshape(len(rests), -1)
        wide, by_member = into[:, :_WIDE], _apart(into[:, _WIDE:])
        np.matmul(_apart(hidden).transpose(0, 2, 1), by_member, out=heads)
        np.matmul(by_member, self._parts[1].transpose(0, 2, 1), out=_apart(wide))
        hidden *= hidden
        np.subtract(np.float32(1.0), hidden, out=hidden)
        wide *= hidden
        np.matmul(seen.T, into, out=units)

    def _descend(self, rate: float) -> None:
        """One step of Adam."""
        self._steps += 1
        rate *= sqrt(1.0 - _SQUARES**self._steps) / (1.0 - _MOMENTUM**self._steps)
        slope = self._slope
        # Both means are kept as sums, so that only the rate is multiplied by what makes means.
        self._moment *= _MOMENTUM
        self._moment += slope
        self._square *= _SQUARES
        slope *= slope
        self._square += slope
        np.sqrt(self._square, out=slope)
        slope += _TINY / sqrt(1.0 - _SQUARES)
        np.divide(self._moment, slope, out=slope)
        slope *= rate * (1.0 - _MOMENTUM) / sqrt(1.0 - _SQUARES)
        self._weights -= slope


def _standard(
    inputs: Singles, columns: NDArray[np.int64], mean: Singles, scale: Singles
) -> Singles:
    """Inputs with mean 0 and deviation 1, cut off at some deviations."""
    standard: Singles = inputs.take(columns, axis=1)
    standard -= mean
    standard *= scale
    np.maximum(standard, _LOWEST, out=standard)
    np.minimum(standard, _HIGHEST, out=standard)
    return standard


def _size(inputs: int) -> int:
    return MEMBERS * ((inputs + 1) * (UNITS + _COUNT) + UNITS * _COUNT)


def _parts(weights: Singles, inputs: int) -> Parts:
    """Views of the parts: units beside the linear way, by standard input, and heads by unit."""
    units = weights[: -MEMBERS * UNITS * _COUNT].reshape(inputs + 1, -1)
    return units, weights[-MEMBERS * UNITS * _COUNT :].reshape(MEMBERS, UNITS, _COUNT)


def _apart(wide: Singles) -> Singles:
    """A view by member (members, n, units) of all units (n, members x units)."""
    return wide.reshape(len(wide), MEMBERS, wide.shape[1] // MEMBERS).transpose(1, 0, 2)


def _forward(standard: Singles, parts: Parts) -> tuple[Singles, Singles]:
    """The hidden units (n, all), and the heads (n x members, LEVELS)."""
    units, heads = parts
    both = standard @ units
    hidden = np.tanh(both[:, :_WIDE])
    raw = np.empty((len(both), MEMBERS * _COUNT), np.float32)
    np.matmul(_apart(hidden), heads, out=_apart(raw))
    raw += both[:, _WIDE:]
    return hidden, raw.reshape(-1, _COUNT)


def _gaps(raw: Singles) -> tuple[Singles, Singles]:
    """Medians, each with the gaps from it; and how much gaps open, as the exponential of ``raw``.

    A row by _SUMS is one of quantiles.
    """
    open_ = np.exp(np.minimum(raw, _STEEPEST))
    gaps = np.log(open_ + _ONE)  # log1p, more exact for the least of gaps, takes four times that
    gaps[:, MEDIAN] = raw[:, MEDIAN]
    return gaps, open_


def _slope(raw: Singles, rests: Singles) -> Singles:
    """The mean pinball loss's derivative by ``raw``."""
    gaps, open_ = _gaps(raw)
    quantiles = (gaps @ _SUMS).reshape(len(rests), -1)  # by call: long rows compare sooner
    by_quantile = (rests[:, None] <= quantiles) - _ALL_LEVELS
    by_quantile /= np.float32(len(rests))
    slope: Singles = by_quantile.reshape(raw.shape) @ _SUMS.T
    open_ /= 1.0 + open_
    open_[:, MEDIAN] = 1.0
    slope *= open_
    return slope


def _sums() -> Singles:
    """What makes quantiles of a median and gaps: each is the sum of those up to it."""
    upper, lower = np.triu(np.ones((_COUNT, _COUNT))), np.tril(np.ones((_COUNT, _COUNT)))
    sums = np.zeros((_COUNT, _COUNT), np.float32)
    sums[MEDIAN + 1 :] = upper[MEDIAN + 1 :]
    sums[:MEDIAN] = -lower[:MEDIAN]
    sums[MEDIAN] = 1.0
    return sums


_SUMS: Final = _sums()
_ALL_MEANS: Final = np.tile(_SUMS / np.float32(MEMBERS), (MEMBERS, 1))
