"""What stands around the texts of a call: its messages, its settings, the kind of task it is."""

from __future__ import annotations

import math
from typing import Final

from budget_proxy.classify.cues import COMPLEXITY_BASE, COMPLEXITY_BASE_OTHER
from budget_proxy.types import Call, Characteristics, Message

NAMES: Final = (
    # messages
    "messages", "user turns", "tool turns", "starts", "after a tool", "tool calls before",
    "images", "characters", "system characters", "first characters", "last characters",
    "characters before",
    # settings
    "tools", "forced tool", "forced form", "form fields", "effort", "thinking",
    "thinking budget", "cap", "choices", "streamed", "temperature",
    # the task
    "kind of task", "complexity", "uncertainty", "criticality", "creative",
)  # fmt: skip

_SCALE: Final = 5.0
_EFFORTS: Final = {
    "none": 0.0, "minimal": 0.25, "low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0, "max": 2.0,
}  # fmt: skip
_UNSET: Final = 1.0
"""The effort and the temperature of a call that sets none."""
_HOTTEST: Final = 2.0
_NOBODY: Final = Message("user", "")


def _logs(*counts: float) -> list[float]:
    """Counts, on a scale near 1."""
    return [math.log1p(count) / _SCALE if count > 0 else 0.0 for count in counts]


def structure_of(call: Call, kind: Characteristics) -> list[float]:
    """The numbers of NAMES: logs of counts, flags, settings in order of what they ask for."""
    return [*_messages(call), *_settings(call), *_kind(kind)]


def _messages(call: Call) -> list[float]:
    messages = call.messages
    last = messages[-1] if messages else _NOBODY
    before = messages[-2] if len(messages) > 1 else _NOBODY
    roles = [message.role for message in messages]
    first = messages[roles.index("user")] if "user" in roles else _NOBODY
    many, users, tools, calls, shown, whole, system, opening, end, ahead = _logs(
        len(messages),
        roles.count("user"),
        roles.count("tool"),
        before.tool_calls,
        call.images + sum([message.attachments for message in messages]),
        call.input_chars,
        sum([len(message.text) for message in messages if message.role == "system"]),
        len(first.text),
        len(last.text),
        len(before.text),
    )
    starts, after_tool = float(call.starts), float(last.role == "tool")
    return [
        many, users, tools, starts, after_tool, calls, shown, whole, system, opening, end, ahead,
    ]  # fmt: skip


def _settings(call: Call) -> list[float]:
    thinking = 0.0 if call.thinking is None else 1.0
    tools, fields, budget, cap, choices = _logs(
        len(call.tools), call.schema_fields, call.thinking_budget or 0, call.ceiling or 0, call.n
    )
    return [
        tools,
        float(call.forced_tool),
        float(call.schema),
        fields,
        _EFFORTS.get(call.effort or "", _UNSET),
        -thinking if call.thinking == "disabled" else thinking,
        budget,
        cap,
        choices,
        float(call.stream),
        _UNSET if call.temperature is None else min(max(call.temperature, 0.0), _HOTTEST),
    ]


def _kind(kind: Characteristics) -> list[float]:
    return [
        COMPLEXITY_BASE.get(kind.task_type, COMPLEXITY_BASE_OTHER) / 20,
        kind.complexity / 50,
        kind.uncertainty,
        kind.criticality,
        float(kind.creative),
    ]
