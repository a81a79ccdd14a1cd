"""Anthropic's thinking parameter: which kinds a model takes, and budgets that fit the cap."""

from __future__ import annotations

from typing import Any, Final

from budget_proxy.types import Body, Call, Capabilities, Patch, Thinking
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


def may_stand_beside(effort: str, thinking: Any) -> bool:
    """Whether an effort goes with a body's thinking: above high only where it thinks throughout.

    With thinking disabled or between tools alone such an effort is refused; of a setting that
    is not known here the same is feared.
    """
    kind = value.text(value.mapping(thinking).get("type"))
    return effort not in _HIGHER_THAN_HIGH or thinking is None or kind in {"adaptive", "enabled"}


def write_thinking(
    out: Body, call: Call, patch: Patch, capabilities: Capabilities
) -> Thinking | None:
    """Write the patch's thinking where the caller set none and the model takes it.

    What was written, its budget made to fit the cap. Comes after the effort has been written.
    """
    wanted = patch.thinking
    if wanted is None or call.thinking is not None or wanted.kind not in capabilities.thinking:
        return None
    if out.get("thinking") is not None or not _fits(out, call, wanted.kind):
        return None
    setting: dict[str, Any] = {"type": wanted.kind}
    budget = None
    if wanted.kind == "enabled":
        budget = value.least(wanted.budget, _room(out))
        if budget is None or budget < _LEAST:
            return None
        setting["budget_tokens"] = budget
    out["thinking"] = setting
    return Thinking(wanted.kind, budget)


def _fits(out: Body, call: Call, kind: str) -> bool:
    if kind in {"adaptive", "enabled"}:
        # Thinking goes with neither a forced tool nor sampling parameters.
        sampling = out.get("temperature") in (None, 1) and out.get("top_k") is None
        return sampling and not call.forced_tool
    effort = value.name(value.mapping(out.get("output_config")).get("effort"))
    return effort is None or may_stand_beside(effort, {"type": kind})


def _room(out: Body) -> int | None:
    most = value.count(out.get("max_tokens"))
    return None if most is None else most - 1
