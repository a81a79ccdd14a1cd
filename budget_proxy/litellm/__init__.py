"""LiteLLM, budgeted: ``from budget_proxy import litellm`` in place of ``import litellm``.

``completion`` and ``acompletion`` are LiteLLM's own, which besides take ``budget=`` (a number
of tokens, or a mapping as in a body's ``budget`` key); ``Budgeted`` makes a pair of them with an
engine or defaults of its own. ``callback`` is for the configuration of LiteLLM's proxy
(docs/litellm.md), and ``BudgetCallback`` is its class. Everything else is LiteLLM's, handed on:
its Router and its other calls go past the budget. LiteLLM is imported when the first name is
asked for.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

_HOMES: Final = {"Budgeted": "budgeted", "BudgetCallback": "hooks"}
_MADE: Final = frozenset({"completion", "acompletion", "callback"})


def __getattr__(name: str) -> Any:
    from budget_proxy.transport.swap import attribute, names

    if name not in {*_HOMES, *_MADE}:
        return attribute("litellm", name)
    names("litellm")  # says what to install where it is missing
    return _made(name) if name in _MADE else _home(name)


def __dir__() -> list[str]:
    from budget_proxy.transport.swap import names

    return sorted({*names("litellm"), *_HOMES, *_MADE})


def _home(name: str) -> Any:
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


@cache
def _made(name: str) -> Any:
    """What there is one of in a process, on the engine of the whole process."""
    return _home("BudgetCallback")() if name == "callback" else getattr(_pair(), name)


@cache
def _pair() -> Any:
    return _home("Budgeted")()
