"""Small values for tests: calls, forecasts, sessions, records, with only what matters given."""

from __future__ import annotations

from typing import Any

from budget_proxy.types import (
    LEVELS,
    Allocation,
    Call,
    CallRecord,
    Characteristics,
    Features,
    Forecast,
    Message,
    Plan,
    Session,
)

NOW = 1_800_000_000.0
SALT = bytes(range(32))


def call(**given: Any) -> Call:
    """A plain chat call of one user message, at NOW."""
    facts: dict[str, Any] = {
        "id": "c1", "api": "openai.chat", "model": "gpt-5.4", "now": NOW,
        "messages": (Message("user", "hello"),), "fingerprint": b"f", "input_chars": 5,
    }  # fmt: skip
    return Call(**{**facts, **given})


def forecast(*values: float, **given: Any) -> Forecast:
    """A forecast with these tokens at q50, q75, q90, q95 and q99."""
    tokens = values or (100.0, 200.0, 300.0, 400.0, 500.0)
    facts: dict[str, Any] = {
        "levels": LEVELS, "values": tokens, "strategy": "quantile",
        "recommended": round(tokens[1]), "confidence": 0.5, "support": 30,
    }  # fmt: skip
    return Forecast(**{**facts, **given})


def session(**given: Any) -> Session:
    """A treated session that was given nothing."""
    facts: dict[str, Any] = {"key": "k", "id": "s", "arm": "treatment", "started": NOW, "seen": NOW}
    return Session(**{**facts, **given})


def record(**given: Any) -> CallRecord:
    """A finished answer of 100 tokens."""
    facts: dict[str, Any] = {
        "ts": NOW, "api": "openai.chat", "model": "gpt-5.4", "call_id": "c1", "agent": "reviewer",
        "task_type": "review", "output_tokens": 100, "input_tokens": 10,
    }  # fmt: skip
    return CallRecord(**{**facts, **given})


def allocation(**given: Any) -> Allocation:
    """An acting allocation with our own cap of 150."""
    facts: dict[str, Any] = {
        "target": 120, "recommended": 200, "reserve": 400, "cap": 150, "ceiling": 150,
        "ours": True, "mode": "enforce", "arm": "treatment", "reason": "test", "confidence": 0.5,
    }  # fmt: skip
    return Allocation(**{**facts, **given})


def plan(**given: Any) -> Plan:
    """A plan around these parts."""
    its_call = given.pop("call", None) or call()
    kind = Characteristics(task_type="review")
    facts: dict[str, Any] = {
        "call": its_call, "characteristics": kind,
        "features": Features("reviewer", its_call.model, "review", kind, NOW),
        "forecast": forecast(), "allocation": allocation(), "session": session(), "body": {},
        "input_tokens": 12,
    }  # fmt: skip
    return Plan(**{**facts, **given})
