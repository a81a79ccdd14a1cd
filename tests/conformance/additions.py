"""Taking out of a body what the documentation says that we may add to it (README, first table).

What is left must be the caller's own body, to the letter.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from budget_proxy import Plan

CAPS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_GAP: Final = "\n\n"


def without_additions(body: Any, plan: Plan, own: Any) -> tuple[Any, set[str]]:
    """The body without what ``plan`` gave it, and what that was; ``own`` is the caller's body.

    Taken out is only what is as documented: a cap below the caller's, the note after whatever
    it follows, and the question for a stream's usage.
    """
    rest, found = copy.deepcopy(body), set()
    for name in CAPS:
        if plan.patch.cap is not None and rest.get(name) == plan.patch.cap:
            found.add("cap")
            _restore(rest, own, name, lower=True)
    if plan.patch.include_usage and rest.get("stream_options", {}).pop("include_usage", None):
        found.add("usage")
        if not rest["stream_options"] and "stream_options" not in own:
            del rest["stream_options"]
    if plan.patch.guidance is not None:
        rest, told = _untold(rest, plan.patch.guidance.text)
        found |= {"guidance"} if told == 1 else set()
    return rest, found


def _restore(rest: dict[str, Any], own: dict[str, Any], name: str, *, lower: bool) -> None:
    if name not in own:
        del rest[name]
    elif not lower or own[name] > rest[name]:
        rest[name] = own[name]


def _untold(value: Any, note: str) -> tuple[Any, int]:
    """The value without the note, and how often it was told."""
    if isinstance(value, str) and value.endswith(_GAP + note):
        return value.removesuffix(_GAP + note), 1
    if isinstance(value, dict):
        told = 0
        kept: dict[str, Any] = {}
        for key, item in value.items():
            if item == note and key in {"instructions", "system"}:
                told += 1
                continue
            kept[key], times = _untold(item, note)
            told += times
        return kept, told
    if isinstance(value, list):
        whole = [item for item in value if not _is_note(item, note)]
        parts = [_untold(item, note) for item in whole]
        told = len(value) - len(whole) + sum(times for _, times in parts)
        return [part for part, _ in parts], told
    return value, 0


def _is_note(item: Any, note: str) -> bool:
    """A block, or a system message, that is nothing but the note."""
    return isinstance(item, dict) and note in (item.get("text"), item.get("content"))
