"""Anthropic's thinking parameter: which kinds a model takes, and budgets that fit the cap."""

from __future__ import annotations

from typing import Any, Final

from budget_proxy.types import Body, Call, Capabilities, Patch
from budget_proxy.wire import value

_LEAST: Final = 1024
_HIGHER_THAN_HIGH: Final = frozenset({"xhigh", "max"})


def fit_budget(out: Body, call: Call, cap: int | None) -> bool:
    """Make room for a cap: whether it may be written, the caller's thinking budget considered.

    A budget must lie in [1,024, max_tokens). The caller's own stays as it is, and a cap of ours
    that it would reach goes unwritten. Where the cap is the caller's own too, the budget is
    halved to it, so that half is left for the answer. A budget already above the caller's
    ``max_tokens`` is interleaved thinking, which has no such rule.
    """
    budget = call.thinking_budget
    if cap is None or call.thinking != "enabled" or budget is None or budget < cap:
        return True
    if call.ceiling is not None and (budget >= call.ceiling or cap >= call.ceiling):
        return True
    room = max(_LEAST, cap // 2)
    if call.override.cap is None or room >= cap:
        return False
    out["thinking"] = {**out["thinking"], "budget_tokens": room}
    return True


def write_thinking(out: Body, call: Call, patch: Patch, capabilities: Capabilities) -> bool:
    """Write the patch's thinking where the caller set none and the model takes it."""
    wanted = patch.thinking
    if wanted is None or call.thinking is not None or wanted.kind not in capabilities.thinking:
        return False
    if out.get("thinking") is not None or not _fits(out, call, patch):
        return False
    setting: dict[str, Any] = {"type": wanted.kind}
    if wanted.kind == "enabled":
        budget = value.least(wanted.budget, _room(out))
        if budget is None or budget < _LEAST:
            return False
        setting["budget_tokens"] = budget
    out["thinking"] = setting
    return True


def _fits(out: Body, call: Call, patch: Patch) -> bool:
    kind = patch.thinking.kind if patch.thinking else ""
    if kind in {"adaptive", "enabled"}:
        # Thinking goes with neither a forced tool nor sampling parameters.
        sampling = out.get("temperature") in (None, 1) and out.get("top_k") is None
        return sampling and not call.forced_tool
    return (call.effort or patch.effort) not in _HIGHER_THAN_HIGH


def _room(out: Body) -> int | None:
    most = value.count(out.get("max_tokens"))
    return None if most is None else most - 1
