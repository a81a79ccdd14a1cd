"""The OpenAI SDK, budgeted: ``from budget_proxy import openai`` in place of ``import openai``.

Clients take the SDK's arguments and those of ``budget_proxy.wrap`` (``engine``, ``agent``,
``mode``, ``thinking``, ``effort``); everything else is the SDK's own, handed on, its errors
and types among it. The SDK is imported when the first name is asked for. Left out: its
module-level client (``openai.chat``) and WebSockets, which go past the budget.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from budget_proxy.transport.swap import attribute

    return attribute("openai", name)


def __dir__() -> list[str]:
    from budget_proxy.transport.swap import names

    return names("openai")
