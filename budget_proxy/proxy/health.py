"""What the proxy says of itself: that it runs, on which history, and what went wrong so far."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from budget_proxy.assemble import Engine


def health(engine: Engine, *, private: bool) -> dict[str, Any]:
    """The answer to ``/healthz``; ``faults`` counts ours by stage, none of which broke a call.

    Whoever asks is told, with a key or without; where callers need keys it is ``private`` what
    stands where on this machine, and what goes wrong.
    """
    told = {"status": "ok", "version": version("budget-proxy")}
    if private:
        return told
    return {
        **told,
        "store": shown(engine.store.url),
        "faults": dict(engine.faults),
    }


def shown(url: str) -> str:
    """A store's URL without user and password."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url  # as it was: urlunsplit drops empty hosts' slashes
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
