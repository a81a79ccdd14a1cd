"""Who sends the bill for a call, and by which name the bill knows its model."""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from budget_proxy.wire.models import bare_host, provider_of_model

_HOSTS: Final = MappingProxyType(
    {
        "api.openai.com": "openai", "api.anthropic.com": "anthropic",
        "openai.azure.com": "azure", "openai.azure.us": "azure",
        "services.ai.azure.com": "azure", "cognitiveservices.azure.com": "azure",
        "amazonaws.com": "aws", "googleapis.com": "google",
    }
)  # fmt: skip
_SNAPSHOT: Final = re.compile(r"[-@](\d{4}-\d{2}-\d{2}|\d{8})(-v\d+(:\d+)?)?$|-latest$")
_OPEN: Final = re.compile(r"(^|/)gpt-oss", re.IGNORECASE)
"""Weights that are open: their maker bills nobody for them."""
_CLAUDE: Final = re.compile(r"^claude[- ]")
_STANDARD: Final = frozenset({"", "auto", "default", "standard", "scale", "not_available"})


@lru_cache(maxsize=4096)
def biller(api: str, host: str, model: str) -> str | None:
    """Who bills for a call: by its host, else (no host, or a gateway) by model or API.

    ``None`` where nobody is known to: a model of one's own on a local host.
    """
    name = bare_host(host)
    for suffix, provider in _HOSTS.items():
        if name == suffix or name.endswith(f".{suffix}"):
            return provider
    known = None if _OPEN.search(model) else provider_of_model(model)
    if known is not None or name or api == "import":
        return known
    return api.partition(".")[0] or None


@lru_cache(maxsize=4096)
def family(model: str) -> str:
    """A model's name without its snapshot, as bills and calls name it alike.

    ``gpt-5-mini-2025-08-07`` is ``gpt-5-mini``; ``Claude Haiku 4.5`` and
    ``claude-haiku-4-5-20251001`` are ``claude-haiku-4-5``.
    """
    name = model.strip().lower().rpartition("/")[2].rpartition("anthropic.")[2]
    if name.startswith("ft:"):
        name = f"ft-{name.split(':')[1]}"
    if _CLAUDE.match(name):
        name = name.replace(" ", "-").replace(".", "-")
    name = _SNAPSHOT.sub("", name)
    return _claude(name) if name.startswith("claude-") else name


def _claude(name: str) -> str:
    """``claude-3-5-sonnet`` and ``claude-sonnet-3-5`` are the same."""
    parts = name.split("-")[1:]
    words = [part for part in parts if not part.isdigit()]
    return "-".join(["claude", *words, *(part for part in parts if part.isdigit())])


def tier_of(name: str | None) -> str:
    """A service tier as bills and answers name it alike; "" for the standard one."""
    tier = (name or "").strip().lower()
    return "" if tier in _STANDARD else tier
