"""Per-call LLM token budgets predicted from your own history.

Every name is imported when it is first asked for, so that importing the package costs next
to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from budget_proxy.assemble import Engine
    from budget_proxy.errors import (
        BudgetExceeded,
        BudgetProxyError,
        ConfigError,
        InvalidInput,
        StoreError,
    )
    from budget_proxy.scope import budget
    from budget_proxy.transport.wrap import wrap
    from budget_proxy.types import (
        Allocation,
        CallRecord,
        Forecast,
        Outcome,
        Override,
        Plan,
        Prediction,
        Scope,
        Usage,
    )

__all__ = [
    "Allocation",
    "BudgetExceeded",
    "BudgetProxyError",
    "CallRecord",
    "ConfigError",
    "Engine",
    "Forecast",
    "InvalidInput",
    "Outcome",
    "Override",
    "Plan",
    "Prediction",
    "Scope",
    "StoreError",
    "Usage",
    "budget",
    "wrap",
]

_HOMES: Final = {"Engine": "assemble", "budget": "scope", "wrap": "transport.wrap"} | {
    name: "errors" if name.endswith(("Error", "Exceeded", "Input")) else "types"
    for name in __all__
    if name not in {"Engine", "budget", "wrap"}
}

if not TYPE_CHECKING:  # type checkers know the names above, and are to complain of others

    def __getattr__(name: str) -> Any:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
