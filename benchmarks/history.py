"""A made-up history: 10,000 calls in 60 groups of agent, task type and model."""

from __future__ import annotations

import time
from collections.abc import Iterator

from loopback import MODELS

from budget_proxy.types import CallRecord

ROWS = 10_000
AGENT = "reviewer"
_AGENTS = (AGENT, "coder", "writer", "tester", "default")
_KINDS = ("review", "code-generation", "conversation", "documentation")
_MODELS = (*MODELS.values(), "gpt-5.5")


def rows() -> Iterator[CallRecord]:
    """The rows, oldest first; their numbers follow their place, so that every run sees the same."""
    for number in range(ROWS):
        yield CallRecord(
            ts=time.time() - ROWS + number,
            api="openai.chat",
            model=_MODELS[number % 3],
            call_id=f"h{number}",
            agent=_AGENTS[number % 5],
            task_type=_KINDS[number % 4],
            complexity=float(number % 100),
            input_tokens=260,
            input_chars=1_050,
            input_estimate=260,
            output_tokens=100 + number * 37 % 900,
        )
