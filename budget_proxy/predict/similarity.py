"""Strategy ``similarity``: the origin's mean of similar tasks, weighted and adjusted (mission, 2).

What the origin leaves open is fixed in mission.md, and the rest here:

- Novelty is computed against this history: "without the novelty term" leaves out the closeness
  of novelty alone (.075, its half of the shared .15), so the other weights are divided by .925.
- With that, a task that has similar ones (.6) is at most .432 new, so that novelty's multiplier
  (above .5) never applies to a mean: it is computed, as the mission writes it, all the same.
- A task sees the rows of its own agent if at least 5 of them are similar, else those of all.
- The coefficient of variation is the population's; it counts as 1 where nothing was used.
- The history's size is the number of rows kept, similar or not.
- A censored length is a lower bound; it enters as it is, so truncations bias this strategy low.

Everything is elementwise over preallocated columns: no row costs an object on the hot path. Rows
alike in all but novelty share a kind, and what a task is like is told of kinds, which are fewer.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from budget_proxy.classify.cues import DOMAINS as DOMAIN_NAMES
from budget_proxy.classify.cues import TASK_TYPES
from budget_proxy.errors import InvalidInput
from budget_proxy.predict.adjustments import Facts, adjust, confidence
from budget_proxy.predict.heuristic import forecast as heuristic
from budget_proxy.types import (
    LEVELS,
    Characteristics,
    Features,
    Forecast,
    Observation,
    Similar,
)

COMPLEXITY, DOMAINS, TYPE, NOVELTY, UNCERTAINTY, CRITICALITY = 0.30, 0.25, 0.20, 0.075, 0.075, 0.10
"""The weights of the closenesses, all between 0 and 1; the .15 of the mean of two is split."""

SIMILAR: Final = 0.6
MOST_SIMILAR: Final = 20
FEWEST: Final = 5
RECENT: Final = 30 * 86_400.0
RELATED: Final = (
    ("code-generation", "refactoring", "bug-fix", "testing"),
    ("review", "analysis"),
    ("documentation", "conversation", "question"),
)
"""Task types of one family match .5."""

_BITS: Final = {name: 1 << at for at, name in enumerate(DOMAIN_NAMES)}
_KINDS: Final = {name: at for at, name in enumerate(TASK_TYPES, 1)}
_SLACK: Final = 1e-9  # sums of weights that make .6 on paper miss it by a rounding
_Array = npt.NDArray[Any]
_Likeness = tuple[str, int, float, float, float]


def _overlaps() -> _Array:
    """Tabulate the Jaccard overlap of every pair of domain sets, weighted."""
    sets = np.arange(1 << len(_BITS))
    ones = np.array([int(mask).bit_count() for mask in sets])
    both, either = ones[sets[:, None] & sets], ones[sets[:, None] | sets]
    overlaps: _Array = DOMAINS * np.where(either == 0, 1.0, both / np.maximum(either, 1))
    return overlaps


def _matches() -> _Array:
    """Tabulate the match of every pair of our task types, weighted; 0 stands for all others.

    What is as close as can be in all that is a number is in it, too.
    """
    matches: _Array = np.zeros((len(_KINDS) + 1, len(_KINDS) + 1))
    for family in RELATED:
        kinds = [_KINDS[name] for name in family]
        matches[np.ix_(kinds, kinds)] = TYPE / 2
    np.fill_diagonal(matches[1:, 1:], TYPE)
    return matches + (COMPLEXITY + UNCERTAINTY + CRITICALITY)


_OVERLAPS: Final = _overlaps()
_MATCHES: Final = _matches()


class Similarity:
    """Remembers the newest ``window`` outcomes and predicts from those similar to a task."""

    name = "similarity"

    def __init__(self, window: int = 10_000) -> None:
        if window < 1:
            raise InvalidInput(f"a history window must hold at least 1 row, not {window}")
        self._window = window
        self._size = 0
        self._next = 0
        self._kinds = np.zeros(window, np.intp)
        self._novelties = np.zeros(window)
        self._agents = np.zeros(window, np.int64)
        self._used = np.zeros(window)
        self._ts = np.zeros(window)
        self._labels: list[tuple[str, str]] = [("", "")] * window
        # by kind, of those of no row the complexity is infinite
        self._known: dict[_Likeness, int] = {}
        self._likenesses: list[_Likeness] = []
        self._rows: list[int] = []
        self._free: list[int] = []
        self._levels = np.zeros((3, window))  # complexity, uncertainty, criticality
        self._tasks = np.zeros(window, np.int16)  # by _KINDS
        self._domains = np.zeros(window, np.int16)  # by _mask
        self._types = np.zeros(window, np.int64)

    def learn_one(self, features: Features, observation: Observation, call_id: str = "") -> None:
        """Keep one outcome, with the novelty that ``features`` say the task had when predicted."""
        at = self._next
        if self._size == self._window:
            self._leave(int(self._kinds[at]))
        self._kinds[at] = self._kind(features)
        self._novelties[at] = NOVELTY * features.characteristics.novelty
        self._agents[at] = _digest(features.agent)
        self._used[at] = observation.tokens
        self._ts[at] = observation.ts
        self._labels[at] = (call_id, features.task_type)
        self._next = (at + 1) % self._window
        self._size = min(self._size + 1, self._window)

    def predict_one(self, features: Features) -> Forecast:
        """Adjust the weighted mean of the similar tasks; with fewer than 5 it is ``heuristic``."""
        novelty, similar = self._search(features, MOST_SIMILAR)
        facts = Facts(self._size, _variation(similar), _recent(similar, features.now), novelty)
        if len(similar) < FEWEST:
            return heuristic(features, facts, similar)
        weights = sum(task.similarity for task in similar)
        base = sum(task.used * task.similarity for task in similar) / weights
        adjusted = adjust(base, features.characteristics, novelty=novelty)
        return Forecast(
            levels=LEVELS,
            values=(float(adjusted.tokens),) * len(LEVELS),
            strategy=self.name,
            recommended=adjusted.tokens,
            confidence=confidence(facts),
            support=len(similar),
            source="similar tasks",
            group=(features.agent, features.task_type, features.model),
            similar=similar,
            reasons=(f"{len(similar)} similar tasks used {base:,.0f} tokens", *adjusted.reasons),
            novelty=novelty,
        )

    def similar(self, features: Features, n: int = MOST_SIMILAR) -> tuple[Similar, ...]:
        """Find the ``n`` most similar tasks (>= .6), greatest first; of equals the newest first."""
        return self._search(features, n)[1] if n > 0 else ()

    def novelty(self, features: Features) -> float:
        """Return 1 - the highest similarity without novelty's part; 1.0 without a history.

        A task of which all that counts was there before is not new: most are told at that.
        """
        if _likeness(features) in self._known:
            return 0.0
        return _novelty(self._plain(features)) if self._size else 1.0

    def _kind(self, features: Features) -> int:
        """The kind of one more row."""
        likeness, task = _likeness(features), features.characteristics
        kind = self._known.get(likeness)
        if kind is not None:
            self._rows[kind] += 1
            return kind
        if self._free:
            kind = self._free.pop()
            self._likenesses[kind], self._rows[kind] = likeness, 1
        else:
            kind = len(self._rows)
            self._likenesses.append(likeness)
            self._rows.append(1)
        self._known[likeness] = kind
        for level, number in enumerate(_levels(task)):
            self._levels[level, kind] = number
        self._tasks[kind] = _KINDS.get(features.task_type, 0)
        self._domains[kind] = _mask(task.domains)
        self._types[kind] = _digest(features.task_type)
        return kind

    def _leave(self, kind: int) -> None:
        """A row of a kind goes."""
        self._rows[kind] -= 1
        if not self._rows[kind]:
            del self._known[self._likenesses[kind]]
            self._levels[0, kind] = math.inf
            self._free.append(kind)

    def _plain(self, features: Features) -> _Array:
        """Every kind's similarity without novelty's part, weighted but not renormalised."""
        n, task = len(self._rows), features.characteristics
        total: _Array = _MATCHES[_KINDS.get(features.task_type, 0)].take(self._tasks[:n])
        total += _OVERLAPS[_mask(task.domains)].take(self._domains[:n])
        away = self._levels[:, :n] - np.array(_levels(task))[:, None]
        total -= np.add.reduce(np.abs(away, out=away))
        if features.task_type not in _KINDS:
            total += TYPE * (self._types[:n] == _digest(features.task_type))
        return total

    def _search(self, features: Features, n: int) -> tuple[float, tuple[Similar, ...]]:
        """Novelty, and the ``n`` most similar tasks."""
        if not self._size:
            return 1.0, ()
        plain = self._plain(features)
        novelty = _novelty(plain)
        total = plain.take(self._kinds[: self._size])
        away = self._novelties[: self._size] - NOVELTY * novelty
        total -= np.abs(away, out=away)
        total += NOVELTY
        similar = total >= SIMILAR - _SLACK
        own = similar & (self._agents[: self._size] == _digest(features.agent))
        if np.count_nonzero(own) >= FEWEST:
            similar = own
        rows = self._best(total, similar, n)
        return novelty, self._similar(rows, total[rows])

    def _best(self, total: _Array, similar: _Array, n: int) -> _Array:
        """Choose the ``n`` similar rows of the greatest total, greatest first, newest of equals."""
        if np.count_nonzero(similar) <= n:
            rows = np.flatnonzero(similar)
        else:
            least = np.partition(total[similar], -n)[-n]
            above = np.flatnonzero(similar & (total > least))
            equal = np.flatnonzero(similar & (total == least))
            oldest = int(np.searchsorted(equal, self._next))  # the ring turns at the next row
            by_age = np.concatenate((equal[oldest:], equal[:oldest]))
            rows = np.concatenate((above, by_age[len(above) - n :]))
        age = (self._next - 1 - rows) % self._window
        return rows[np.lexsort((age, -total[rows]))]

    def _similar(self, rows: _Array, closeness: _Array) -> tuple[Similar, ...]:
        return tuple(
            Similar(self._labels[row][0], self._labels[row][1], similarity, int(used), ts)
            for row, similarity, used, ts in zip(
                rows.tolist(),
                closeness.tolist(),
                self._used[rows].tolist(),
                self._ts[rows].tolist(),
                strict=True,
            )
        )


def _levels(task: Characteristics) -> tuple[float, float, float]:
    """Scale the numbers that closenesses are differences of by weight over range."""
    return (
        COMPLEXITY * task.complexity / 100.0,
        UNCERTAINTY * task.uncertainty,
        CRITICALITY * task.criticality,
    )


def _likeness(features: Features) -> _Likeness:
    """All that the similarity of two tasks rests on, save their novelty."""
    task = features.characteristics
    return (
        features.task_type, _mask(task.domains),
        task.complexity, task.uncertainty, task.criticality,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _mask(domains: frozenset[str]) -> int:
    return sum(_BITS.get(name, 0) for name in domains)


@lru_cache(maxsize=1024)
def _digest(name: str) -> int:
    """Turn a name into a number, the same in every process."""
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little", signed=True)


def _novelty(plain: _Array) -> float:
    return round(min(max(1.0 - float(np.maximum.reduce(plain)) / (1.0 - NOVELTY), 0.0), 1.0), 6)


def _variation(similar: tuple[Similar, ...]) -> float:
    used = [task.used for task in similar]
    if not any(used):
        return 1.0
    mean = sum(used) / len(used)
    return math.sqrt(sum((tokens - mean) ** 2 for tokens in used) / len(used)) / mean


def _recent(similar: tuple[Similar, ...], now: float) -> float:
    return sum(task.ts >= now - RECENT for task in similar) / max(len(similar), 1)
