"""``wrap``: an SDK's client whose calls are budgeted and metered, of the very same type."""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput
from budget_proxy.transport.binding import bind
from budget_proxy.transport.view import bound, view
from budget_proxy.types import Mode

_SDKS: Final = frozenset({"openai", "anthropic"})
_BASES: Final = frozenset({"SyncAPIClient", "AsyncAPIClient"})
_Client = TypeVar("_Client")


def wrap(
    client: _Client,
    *,
    engine: Engine | None = None,
    agent: str | None = None,
    mode: Mode | None = None,
    thinking: str | None = None,
    effort: str | None = None,
) -> _Client:
    """A copy of an OpenAI or Anthropic client that sends its calls through ``engine``.

    It shares the original's HTTP client, closing included, as the SDKs' own copies do; the
    original goes on unbudgeted. ``agent``, ``mode``, ``thinking`` and ``effort`` hold for all
    of its calls that say nothing else. A client that is wrapped already is not wrapped twice:
    what is given here replaces what it was given before. Without an engine it is one for the
    whole process, opened by the settings. Raises InvalidInput on any other object or a wrong
    setting, ConfigError and StoreError where the engine cannot be opened.
    """
    if not is_client_class(type(client)):
        raise InvalidInput(
            "wrap takes a client of the openai or anthropic SDK, such as openai.OpenAI() or "
            f"anthropic.AsyncAnthropic(), not {type(client).__name__}"
        )
    sdk_client = cast("Any", client)
    http = sdk_client._client  # noqa: SLF001 (the SDKs tell it in no other way)
    settings = {"agent": agent, "mode": mode, "thinking": thinking, "effort": effort}
    seen = view(http, bind(engine, settings, bound(http)))
    try:
        return cast("_Client", sdk_client.copy(http_client=seen))
    except TypeError as error:
        raise InvalidInput(
            f"{type(client).__name__} cannot be wrapped, because its own copy() does not work "
            f"({error}); derive it from the client in budget_proxy.openai or "
            "budget_proxy.anthropic instead"
        ) from error


def is_client_class(kind: type) -> bool:
    """Whether a class is one of the SDKs' clients, or derived from one."""
    return any(
        base.__name__ in _BASES and base.__module__.partition(".")[0] in _SDKS
        for base in kind.__mro__
    )
