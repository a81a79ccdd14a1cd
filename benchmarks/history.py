"""A made-up history: 10,000 calls in 60 groups of agent, task type and model."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from answers import MODELS

from budget_proxy import Engine
from budget_proxy.ledger.limits import Limit
from budget_proxy.store.sqlite import SQLiteStore
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


def filled(folder: str, limits: Sequence[Limit] = ()) -> str:
    """Write the history to a file in this folder, with limits in force: the store's URL."""
    path = Path(folder) / "history.db"
    store = SQLiteStore(path)
    store.migrate()
    store.append(list(rows()))
    for limit in limits:
        store.save_limit(limit)
    store.close()
    return f"sqlite:///{path}"


@contextmanager
def experienced(limits: Sequence[Limit] = ()) -> Iterator[Engine]:
    """An engine that learned from the history's file, with everything switched on."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Engine.open(
            filled(folder, limits), mode="enforce", holdout=0.0, caps="always", effort="auto",
            thinking="auto", reasoning_floor=1_024,
        ) as engine,
    ):  # fmt: skip
        yield engine
