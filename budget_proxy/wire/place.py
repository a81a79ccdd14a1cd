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
    """The messages with ``text`` at the end of the ``index``-th user turn, if there is one.

    It is a block of its own there, also beside a string: agents send the same turn as a list
    while it is marked as cached and as a string later, and its prompt has to stay the same.
    """
    turns = (at for at, item in enumerate(value.items(messages)) if is_user_turn(item))
    for number, at in enumerate(turns):
        if number == index:
            content = messages[at].get("content")
            if isinstance(content, str) and content:
                content = [{"type": kind, "text": content}]
            return _with(messages, at, extended(content, text, kind))
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
    return _with(messages, at, extended(messages[at].get("content"), text))


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


def _with(messages: list[Any], at: int, content: Any) -> list[Any] | None:
    if content is None:
        return None
    copy = list(messages)
    copy[at] = {**messages[at], "content": content}
    return copy
