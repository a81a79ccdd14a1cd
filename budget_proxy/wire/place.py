"""Putting guidance into a body: at the end of the system prompt or of one user message.

Only the containers along the path are copied; no block, marker or message already there is
touched. Where the place does not exist nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from budget_proxy.wire import value
from budget_proxy.wire.content import marked, read
from budget_proxy.wire.transcript import is_user_turn, role_of

_GAP = "\n\n"


def extended(content: Any, text: str, kind: str = "text") -> str | list[Any] | None:
    """The content with ``text`` at its end, in the content's own form; ``None`` if it is odd.

    A list gets a block of its own (type ``kind``), so that a cached block before it stays.
    """
    if content is None or content == "":
        return text
    if isinstance(content, str):
        return f"{content}{_GAP}{text}"
    if isinstance(content, list):
        return [*content, {"type": kind, "text": text}]
    return None


def in_user_turn(messages: Any, index: int, text: str, kind: str = "text") -> list[Any] | None:
    """The messages with ``text`` at the end of the ``index``-th user turn, if there is one."""
    turns = (at for at, item in enumerate(value.items(messages)) if is_user_turn(item))
    for number, at in enumerate(turns):
        if number == index:
            return _with(messages, at, text, kind)
    return None


def in_system_message(messages: Any, text: str) -> list[Any] | None:
    """The messages with ``text`` in the system prompt; a system message is made if need be.

    It ends the first system message, or the last marked as cached of those that lead.
    """
    if not isinstance(messages, list):
        return None
    at = _system_place(messages)
    if at is None:
        return [{"role": "system", "content": text}, *messages]
    return _with(messages, at, text, "text")


def _system_place(messages: Sequence[Any]) -> int | None:
    place = None
    for at, item in enumerate(messages):
        if not isinstance(item, dict) or role_of(item) != "system":
            if place is not None:
                break
            continue
        if place is None or marked(item) or read(item.get("content")).marked:
            place = at
    return place


def _with(messages: list[Any], at: int, text: str, kind: str) -> list[Any] | None:
    content = extended(messages[at].get("content"), text, kind)
    if content is None:
        return None
    copy = list(messages)
    copy[at] = {**messages[at], "content": content}
    return copy
