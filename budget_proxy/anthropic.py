"""The Anthropic SDK, budgeted: ``from budget_proxy import anthropic``, else as ever.

Clients take the SDK's arguments and those of ``budget_proxy.wrap`` (``engine``, ``agent``,
``mode``, ``thinking``, ``effort``); everything else is the SDK's own, handed on, its errors
and types among it. The SDK is imported when the first name is asked for.
"""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from budget_proxy.transport.swap import attribute

    return attribute("anthropic", name)


def __dir__() -> list[str]:
    from budget_proxy.transport.swap import names

    return names("anthropic")
