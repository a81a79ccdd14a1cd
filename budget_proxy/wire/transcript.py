"""Gathering a conversation in one pass: its messages, what it weighs, and its fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal

from budget_proxy.types import Message
from budget_proxy.wire import value
from budget_proxy.wire.content import MARKERS, Content, not_text, only_results, read, unmarked
from budget_proxy.wire.digest import feed

Role = Literal["system", "user", "assistant", "tool"]

_ROLES: Final[dict[str, Role]] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_DIGEST_SIZE: Final = 16


def role_of(message: Any) -> Role:
    """The role as the core knows it; an unknown or missing one speaks for the user."""
    return _ROLES.get(value.text(value.mapping(message).get("role")), "user")


def is_user_turn(message: Any) -> bool:
    """Whether a message is one of those that ``Guidance.index`` counts."""
    return (
        isinstance(message, dict)
        and isinstance(message.get("role"), str)  # items of Responses that are no message have none
        and role_of(message) == "user"
        and not only_results(message.get("content"))
    )


@dataclass(slots=True)
class Transcript:
    """A conversation as far as it was read. ``answered``: an assistant turn was among it.

    ``shared`` says that a cache marker stands before the newest user message's last block,
    so that other sessions may share a prefix running past the system prompt.
    """

    messages: list[Message] = field(default_factory=list)
    chars: int = 0
    images: int = 0
    answered: bool = False
    shared: bool = False
    _marked: bool = False
    _prompt: list[str] = field(default_factory=list)
    _first: str | None = None
    _shown: Sequence[Any] = ()

    def add(
        self,
        role: Role,
        content: Any,
        *,
        tool_calls: int = 0,
        hidden: int = 0,
        marked: bool = False,
    ) -> None:
        """Take one message; ``hidden`` are billed characters that stand outside its content."""
        found = read(content)
        found.marked |= marked
        self.chars += len(found.text) + len(found.result) + found.hidden + hidden
        self.images += found.images
        if role == "user" and found.result:
            self._put("tool", found.result, Content())
            if only_results(content):
                self._marked |= found.marked
                return
        if role == "user" and self._first is None:
            self._shown = not_text(content)
        parts = (found.text,) if role == "user" else (found.text, found.result)
        found.tool_calls += tool_calls
        self._put(role, "\n".join(filter(None, parts)), found)

    def _put(self, role: Role, text: str, found: Content) -> None:
        if role == "system":
            if self._first is None and not self.answered:
                self._prompt.append(text)
        elif role == "assistant":
            self.answered = True
        elif role == "user":
            self.shared = self._marked or found.marked_early
            if self._first is None:
                self._first = text
        self._marked |= found.marked and role != "system"
        self.messages.append(
            Message(
                role=role,
                text=text,
                images=found.images,
                attachments=found.attachments,
                tool_calls=found.tool_calls,
                cached=found.marked,
            )
        )

    def fingerprint(self, tools: Sequence[Any]) -> bytes:
        """A digest of system prompt, tools and first user message: the same all session long.

        System messages that come later are left out, since they would change it midway; so are
        cache markers, which move. Of the first user message images and files count as well.
        """
        digest = blake2b(digest_size=_DIGEST_SIZE)
        for text in ("\n".join(self._prompt), self._first or ""):
            part = text.encode("utf-8", "surrogatepass")
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        digest.update(value.canonical([unmarked(tool) for tool in tools]) if tools else b"")
        for block in self._shown:
            feed(digest, block, MARKERS)
        return digest.digest()
