"""The provider dialects: the only place that knows how providers spell things."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from budget_proxy.wire.anthropic_messages import AnthropicMessages
from budget_proxy.wire.base import REFUSED, Context, Dialect, Meter, Written
from budget_proxy.wire.openai_chat import OpenAIChat
from budget_proxy.wire.openai_responses import OpenAIResponses
from budget_proxy.wire.own import strip
from budget_proxy.wire.path import is_bedrock

__all__ = [
    "DIALECTS",
    "REFUSED",
    "Context",
    "Dialect",
    "Meter",
    "Written",
    "dialect_for",
    "strip",
]

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {dialect.api: dialect for dialect in (OpenAIChat(), OpenAIResponses(), AnthropicMessages())}
)
"""Every dialect by its API's name."""

_ENDINGS: Final = (
    ("/chat/completions", "openai.chat"),
    ("/responses", "openai.responses"),
    ("/messages", "anthropic.messages"),
)
_OTHERS: Final = frozenset({"threads", "conversations"})
"""Collections of other APIs that have messages of their own."""


@lru_cache(maxsize=256)
def dialect_for(method: str, path: str) -> Dialect | None:
    """The dialect of a request, by its method and its path (no query), whatever stands before.

    ``None`` for everything that is no completion call: it passes through untouched. To some servers
    capitals and doubled slashes make no difference, so that they make none here.
    """
    if method.upper() != "POST":
        return None
    whole = "/" + "/".join(filter(None, path.lower().split("/")))
    for ending, api in _ENDINGS:
        if whole.endswith(ending) and _OTHERS.isdisjoint(whole.split("/")):
            return DIALECTS[api]
    return DIALECTS["anthropic.messages"] if is_bedrock(whole) else None
