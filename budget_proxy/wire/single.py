"""The smallest body of each API: one user message. For looking at what would be decided."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from budget_proxy.types import Body


class _Form(NamedTuple):
    text: str
    cap: str
    model: str


_FORMS: Final[Mapping[str, _Form]] = MappingProxyType(
    {
        "openai.chat": _Form("messages", "max_completion_tokens", "gpt-5.4"),
        "openai.responses": _Form("input", "max_output_tokens", "gpt-5.4"),
        "anthropic.messages": _Form("messages", "max_tokens", "claude-sonnet-5-5"),
    }
)


def default_model(api: str) -> str:
    """A current model of that API, to explain with where no other is named."""
    return _FORMS[api].model


def single_message(
    api: str, text: str, *, model: str, stream: bool = False, cap: int | None = None
) -> Body:
    """A body with ``text`` as its only user message; ``cap`` in output tokens."""
    form = _FORMS[api]
    body: Body = {"model": model, form.text: [{"role": "user", "content": text}]}
    if stream:
        body["stream"] = True
    if cap is not None:
        body[form.cap] = cap
    return body
