"""Small cases for tests of the learner: calls as it sees them, with only what matters given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from budget_proxy.predict.cases import Case, case_of
from budget_proxy.predict.columns import UNKNOWN, Outcome
from budget_proxy.types import Characteristics, Features
from tests.makers import NOW


def features(**given: Any) -> Features:
    """A question of one agent to one model."""
    facts: dict[str, Any] = {
        "agent": "reviewer", "model": "gpt-5.4", "task_type": "question",
        "characteristics": Characteristics(), "now": NOW,
    }  # fmt: skip
    return Features(**{**facts, **given})


def case(
    *, template: int = 0, prompt: int = 0, tail: int = 0, words: Any = (), **given: Any
) -> Case:
    """A case of such features; identities and words are given as numbers."""
    plain = case_of(features(**given))
    model = plain.factors[0]
    factors = list(plain.factors)
    factors[3:8] = template, template and template + model, tail, prompt, prompt and prompt + model
    return plain._replace(factors=tuple(factors), grams=np.array(words, np.uint16))


def outcome(tokens: float, *, censored: bool = False, reasoning: float = UNKNOWN) -> Outcome:
    """What came back of a call."""
    return Outcome(float(tokens), censored, float(reasoning))


def ln(tokens: float) -> float:
    """The natural logarithm, by a short name."""
    return math.log(tokens)
