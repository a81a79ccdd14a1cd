"""An SDK's module under our name: its clients bound to an engine, all else handed on.

``isinstance`` and ``issubclass`` give the same answers with our names as with the SDK's, and
what our names construct is the SDK's own class: Anthropic's looks for credentials in no other.
A user's subclass of ours is a subclass of the SDK's.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

from budget_proxy.transport.binding import Ours, bind
from budget_proxy.transport.view import bound, view
from budget_proxy.transport.wrap import is_client_class, wrap

_DUNDERS: Final = frozenset({"__all__", "__title__", "__version__"})


def attribute(sdk: str, name: str) -> Any:
    """What stands in for an attribute of the SDK's module, named as the extra that installs it.

    Raises AttributeError if the SDK has none, ImportError if it is not installed.
    """
    if name.startswith("__") and name not in _DUNDERS:
        raise AttributeError(f"module 'budget_proxy.{sdk}' has no attribute {name!r}")
    value = getattr(_module(sdk), name)
    if isinstance(value, type) and not name.startswith("_") and is_client_class(value):
        return _swapped(value, f"budget_proxy.{sdk}")
    return value


def names(sdk: str) -> list[str]:
    """The names of the SDK's module, sorted."""
    return sorted(dir(_module(sdk)))


def _module(sdk: str) -> Any:
    try:
        return import_module(sdk)
    except ModuleNotFoundError as error:
        if error.name != sdk:
            raise
        raise ImportError(
            f"budget_proxy.{sdk} needs the SDK: pip install {sdk}", name=sdk
        ) from None


class _Derivable:
    """The base of users' subclasses: copies stay bound, also with another HTTP client."""

    _client: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        ours = _ours(options)
        super().__init__(*args, **options)
        before = bound(self._client)
        self._client = view(self._client, bind(ours.pop("engine"), ours, before))

    def copy(self, *, http_client: Any = None, **options: Any) -> Any:
        """A copy with other options, as the SDK's."""
        binding = bound(self._client)
        if http_client is not None and binding is not None and not bound(http_client):
            http_client = view(http_client, binding)
        return super().copy(http_client=http_client, **options)  # type: ignore[misc]

    with_options = copy


class _Meta(type):
    """Constructs the SDK's class in place of ours, and answers ``isinstance`` as it would."""

    def __call__(cls, *args: Any, **options: Any) -> Any:
        sdk = vars(cls).get("sdk_class")
        if sdk is None:
            return super().__call__(*args, **options)
        ours = _ours(options)
        return wrap(sdk(*args, **options), **ours)

    def __instancecheck__(cls, instance: object) -> bool:
        sdk = vars(cls).get("sdk_class")
        return super().__instancecheck__(instance) if sdk is None else isinstance(instance, sdk)

    def __subclasscheck__(cls, subclass: type) -> bool:
        sdk = vars(cls).get("sdk_class")
        return super().__subclasscheck__(subclass) if sdk is None else issubclass(subclass, sdk)


def _ours(options: dict[str, Any]) -> dict[str, Any]:
    """Take what is meant for us out of the options."""
    return {name: options.pop(name, None) for name in Ours.__annotations__}


@cache
def _swapped(sdk: type, module: str) -> type:
    names = {"__module__": module, "__doc__": sdk.__doc__, "sdk_class": sdk}
    return _Meta(sdk.__name__, (_Derivable, sdk), names)
