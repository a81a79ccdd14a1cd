"""A view of an HTTP client: the same client in all but its transport.

A view shares its owner's whole state, so hooks, proxies, TLS, cookies, auth, limits, timeouts
and being closed are those of the owner by construction, whichever of the two is asked.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from budget_proxy.errors import InvalidInput
from budget_proxy.transport.aio import AsyncBudgetTransport
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.family import family_of
from budget_proxy.transport.sync import BudgetTransport

_SEAM: Final = "_transport_for_url"
"""The one private name of the HTTP libraries that we rest on."""


def view(client: Any, binding: Binding) -> Any:
    """A view of ``client`` (or of a view's owner) that is bound anew.

    Raises InvalidInput where the client is none of httpx or httpx2.
    """
    owner = client.budget_owner if bound(client) else client
    fresh: Any = object.__new__(_view_of(owner.__class__))
    fresh.__dict__ = owner.__dict__
    fresh.budget_owner, fresh.budget_binding = owner, binding
    return fresh


def bound(client: Any) -> Binding | None:
    """The binding of a view; ``None`` for any other client."""
    return getattr(type(client), "is_budget_view", None) and client.budget_binding


@cache
def _view_of(kind: type) -> type:
    """The class of views of one class of clients. It looks the same, and is one."""
    sync = issubclass(kind, family_of(kind).Client)
    inherited = getattr(kind, _SEAM, None)
    if inherited is None:  # or calls would go past us, unnoticed
        raise InvalidInput(f"{kind.__qualname__} is no HTTP client that budget_proxy can wrap")
    transport = BudgetTransport if sync else AsyncBudgetTransport

    def through_us(self: Any, url: Any) -> Any:
        return transport(inherited(self, url), self.budget_binding)

    def gone(_self: Any) -> None:
        """Do nothing: SDKs close their clients when these are collected, but ours is shared."""

    names = {
        "__slots__": ("budget_binding", "budget_owner"),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__del__": gone,
        "is_budget_view": True,
        _SEAM: through_us,
    }
    return type(kind.__name__, (kind,), names)
