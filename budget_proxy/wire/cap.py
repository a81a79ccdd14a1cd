"""Reading and writing hard caps, under whichever parameters a dialect has for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from budget_proxy.types import Body, Call, Capabilities, Patch
from budget_proxy.wire import value


def ceiling(body: Mapping[str, Any], keys: Sequence[str], *, minimum: int = 1) -> int | None:
    """The caller's own cap in tokens, the smallest if several are given.

    Values below ``minimum`` mean "no cap" (-1 on some servers) and count as absent.
    """
    least = None
    for key in keys:
        cap = value.count(body.get(key))
        if cap is not None and cap >= minimum and (least is None or cap < least):
            least = cap
    return least


def allowed(call: Call, patch: Patch, capabilities: Capabilities, floor: int) -> int | None:
    """The patch's cap as it may be written: at least ``floor`` tokens, at most the model's."""
    if patch.cap is None or not call.cappable:
        return None
    return value.least(max(patch.cap, floor), capabilities.max_output)


def lower(out: Body, keys: Sequence[str], default: str, cap: int | None) -> list[str]:
    """Lower every cap that is there, or add one under ``default``; the names changed.

    A value of the caller's is only ever lowered; one that is no number is left to the provider.
    """
    if cap is None:
        return []
    changed = []
    for key in [key for key in keys if out.get(key) is not None] or [default]:
        given = out.get(key)
        own = value.count(given)
        if given is None or given == -1 or (own is not None and own > cap):
            out[key] = cap
            changed.append(key)
    return changed
