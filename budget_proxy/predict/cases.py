"""A call as the learned forecast sees it: numbers, hashed words, and the keys of its groups.

Everything here is known before the call is sent. Keys are 63-bit numbers (a signed column of
them is exact), the same in every process; 0 stands for "none".
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from math import inf, log1p
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.grams import Grams
from budget_proxy.predict.signals import IDENTITIES, NUMBERS, decode
from budget_proxy.types import Features

FACTORS: Final = (
    "model", "agent", "agent and model", "template", "model and template", "tail", "prompt",
    "model and prompt", "task", "session",
)  # fmt: skip
"""What an effect may belong to, from coarse to fine."""

GROUPS: Final = ("all", "model", "agent", "agent+model", "agent+task+model")
"""Groups, each with what stands in for it before it: of a new agent soon more is known than of
any pair of it and a model."""

ALL: Final = 1
"""The key of the group of all calls."""

MASK: Final = (1 << 63) - 1
"""The largest key."""

_AGENTS: Final = 2
"""What tells an agent's key apart from a model's of the same name."""

_PROMPT, _TEMPLATE, _TAIL = map(IDENTITIES.index, ("prompt", "template", "tail"))
_NO_NUMBERS: Final = np.zeros(len(NUMBERS), np.float32)
_NO_GRAMS: Final = np.zeros(0, np.uint16)


class Case(NamedTuple):
    """``factors`` are keys by FACTORS, ``groups`` by GROUPS; ``input`` is ln(1 + tokens).

    ``ceiling`` is the cap in tokens, infinite where there is none; ``numbers`` and ``grams``
    are those of Signals, zeros and none where there are none.
    """

    factors: tuple[int, ...]
    groups: tuple[int, ...]
    input: float
    ceiling: float
    numbers: NDArray[np.float32]
    grams: Grams

    @property
    def model(self) -> int:
        """The key of the model."""
        return self.factors[0]

    @property
    def agent(self) -> int:
        """The key of the agent's group."""
        return self.groups[2]

    @property
    def pair(self) -> int:
        """The key of agent and model together."""
        return self.factors[2]

    @property
    def tail(self) -> int:
        """The key of how the last message ends."""
        return self.factors[5]

    @property
    def task(self) -> int:
        """The key of the caller's task."""
        return self.factors[8]

    @property
    def session(self) -> int:
        """The key of the session."""
        return self.factors[9]


def case_of(features: Features) -> Case:
    """See a call as a case; signals that cannot be read count as none."""
    model, agent, pair, groups = _names(features.model, features.agent, features.task_type)
    signals = decode(features.signals)
    if signals is None:
        prompt = template = tail = 0
        numbers, grams = _NO_NUMBERS, _NO_GRAMS
    else:
        same = signals.identities
        prompt, template, tail = same[_PROMPT] & MASK, same[_TEMPLATE] & MASK, same[_TAIL] & MASK
        numbers, grams = signals.numbers, signals.grams
    factors = (
        model, agent, pair, template, joined(model, template), tail, prompt,
        joined(model, prompt), _named(features.task), _named(features.session),
    )  # fmt: skip
    ceiling = float(features.ceiling or inf)
    return Case(factors, groups, log1p(features.input_tokens or 0), ceiling, numbers, grams)


@lru_cache(maxsize=4096)
def _names(model: str, agent: str, task_type: str) -> tuple[int, int, int, tuple[int, ...]]:
    """The keys of a model, an agent and both, and those of GROUPS."""
    one, other = key_of(model), key_of(agent)
    pair = joined(one, other)
    groups = (ALL, one, joined(_AGENTS, other), pair, joined(pair, key_of(task_type)))
    return one, other, pair, groups


@lru_cache(maxsize=4096)
def key_of(name: str) -> int:
    """Turn a name into a key, the same in every process and never 0."""
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little") & MASK or 1


def joined(one: int, other: int) -> int:
    """The key of two together; 0 where either is."""
    if not (one and other):
        return 0
    return ((one * 0x9E3779B97F4A7C15 ^ other) * 0xD6E8FEB86659FD93) & MASK or 1


def _named(name: str | None) -> int:
    return key_of(name) if name else 0
