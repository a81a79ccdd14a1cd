"""Putting guidance into a body: at the end of the system prompt or of one user message.

Only the containers along the path are copied; no block, marker or message already there is
touched. Where the place does not exist nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from budget_proxy.run_types import Note
from budget_proxy.wire import value
from budget_proxy.wire.content import marked, read
from budget_proxy.wire.transcript import is_user_turn, role_of

_GAP = "\n\n"
_ANSWERS: Final = frozenset(
    {"function_call_output", "custom_tool_call_output", "apply_patch_call_output"}
)
"""Items of Responses whose ``output`` is text for the model; others' have forms of their own."""


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


def tail_of(messages: Any) -> int | None:
    """The place of the newest message, where that is a user's or a tool's; else ``None``."""
    if isinstance(messages, str):
        return 0
    known = value.items(messages)
    return len(known) - 1 if known and _part_of(known[-1]) is not None else None


def with_notes(
    messages: Any, notes: Sequence[Note], kind: str = "text"
) -> tuple[Any, tuple[Note, ...]]:
    """The messages with each note at the end of its own, and the notes that found their place.

    In a user's message a note is a block of its own, also beside a string (``in_user_turn``). What
    a tool answered keeps its form, since not all hosts take blocks there: the note ends its last
    text. That is the same prompt whichever form an agent sends it in later.
    """
    written = []
    for note in notes:
        noted = _noted(messages, note, kind)
        if noted is not None:
            messages = noted
            written.append(note)
    return messages, tuple(written)


def _noted(messages: Any, note: Note, kind: str) -> Any:
    if isinstance(messages, str):
        return extended(messages, note.text) if note.at == 0 else None
    if not (isinstance(messages, list) and 0 <= note.at < len(messages)):
        return None
    item = messages[note.at]
    part = _part_of(item)
    if part is None:
        return None
    content = item.get(part)
    if part == "content" and role_of(item) == "user":
        if isinstance(content, str) and content:
            content = [{"type": kind, "text": content}]
        return _with(messages, note.at, extended(content, note.text, kind), part)
    return _with(messages, note.at, _ended(content, note.text, kind), part)


def _ended(content: Any, text: str, kind: str) -> Any:
    """A tool's answer with ``text`` at the end of its last text."""
    last = content[-1] if isinstance(content, list) and content else None
    if isinstance(last, dict) and isinstance(last.get("text"), str):
        return [*content[:-1], {**last, "text": extended(last["text"], text)}]
    return extended(content, text, kind)


def _part_of(item: Any) -> str | None:
    """Where a message that answers the model has its text; ``None`` if it is none of those."""
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("role"), str):
        return "content" if role_of(item) in {"user", "tool"} else None
    return "output" if value.text(item.get("type")) in _ANSWERS else None


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


def _with(messages: list[Any], at: int, content: Any, part: str = "content") -> list[Any] | None:
    if content is None:
        return None
    copy = list(messages)
    copy[at] = {**messages[at], part: content}
    return copy
