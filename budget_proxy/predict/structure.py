"""What stands around the texts of a call: its messages, its settings, the kind of task it is."""

from __future__ import annotations

import math
from typing import Final

from budget_proxy.classify.cues import TASK_TYPES
from budget_proxy.types import Call, Characteristics, Message

_EFFORTS: Final = {
    "none": 0.0, "minimal": 0.25, "low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0, "max": 2.0,
}  # fmt: skip
_SCALE: Final = 5.0

NAMES: Final = (
    # messages
    "messages", "user turns", "tool turns", "starts", "after a tool", "tool calls before",
    "images", "attachments", "characters", "system characters", "first characters",
    "last characters", "characters before",
    # settings
    "tools", "forced tool", "forced form", "effort", "effort set", "thinking", "no thinking",
    "thinking budget", "cap", "choices", "streamed",
    # the task
    "complexity", "uncertainty", "criticality", "creative", "domains", *TASK_TYPES,
)  # fmt: skip


def structure_of(call: Call, kind: Characteristics) -> list[float]:
    """The numbers of NAMES: logs of counts, flags, and the task's characteristics."""
    return [*_messages(call), *_settings(call), *_kind(kind)]


def log(count: float) -> float:
    """A count on a scale near 1."""
    return math.log1p(max(count, 0.0)) / _SCALE


def _messages(call: Call) -> list[float]:
    messages = call.messages
    last = messages[-1] if messages else Message("user", "")
    before = messages[-2] if len(messages) > 1 else Message("user", "")
    users = [message for message in messages if message.role == "user"]
    return [
        log(len(messages)),
        log(len(users)),
        log(sum(message.role == "tool" for message in messages)),
        float(call.starts),
        float(last.role == "tool"),
        log(before.tool_calls),
        log(call.images),
        log(sum(message.attachments for message in messages)),
        log(call.input_chars),
        log(sum(len(message.text) for message in messages if message.role == "system")),
        log(len(users[0].text) if users else 0),
        log(len(last.text)),
        log(len(before.text)),
    ]


def _settings(call: Call) -> list[float]:
    thinking = call.thinking or ""
    return [
        log(len(call.tools)),
        float(call.forced_tool),
        float(call.schema),
        _EFFORTS.get(call.effort or "", 0.0),
        float(call.effort is not None),
        float(thinking not in ("", "disabled")),
        float(thinking == "disabled"),
        log(call.thinking_budget or 0),
        log(call.ceiling or 0),
        log(call.n),
        float(call.stream),
    ]


def _kind(kind: Characteristics) -> list[float]:
    return [
        kind.complexity / 50,
        kind.uncertainty,
        kind.criticality,
        float(kind.creative),
        len(kind.domains) / 2,
        *(float(kind.task_type == name) for name in TASK_TYPES),
    ]
