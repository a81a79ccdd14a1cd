"""What a model can do on a host: a small data file, rules by family, the user's own word.

Names rot in weeks, so families are patterns that also cover versions newer than the table;
what matches none passes with safe defaults. Context windows and prices are not kept here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from budget_proxy.types import NOTHING, Capabilities

_OPENAI_HOST: Final = "api.openai.com"
_QUOTA_SUFFIXES: Final = (
    ".api.openai.com",
    ".openai.azure.com",
    ".openai.azure.us",
    ".services.ai.azure.com",
    ".cognitiveservices.azure.com",
)
_NEVER_ON_CHAT: Final = "max"
_OWN_API: Final[Mapping[str, str]] = MappingProxyType(
    {"openai": "openai.responses", "anthropic": "anthropic.messages"}
)
"""The API of a provider through which its models can be given the most."""


class _Family(NamedTuple):
    pattern: re.Pattern[str]
    provider: str
    capabilities: Capabilities


def bare_host(host: str) -> str:
    """A host name in lower case without its port."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


@lru_cache(maxsize=256)
def is_openai_host(host: str) -> bool:
    """Whether a host is OpenAI's or Azure's own; an empty one stands for the provider's."""
    name = bare_host(host)
    return not name or name == _OPENAI_HOST or name.endswith(_QUOTA_SUFFIXES)


def capabilities(
    api: str,
    host: str,
    model: str,
    overrides: Mapping[str, Mapping[str, Any]] = NOTHING,
    quota_hosts: tuple[str, ...] = (),
) -> Capabilities:
    """What is known of ``model``, called through ``api`` on ``host``.

    ``overrides`` maps a model's name to the fields of Capabilities that the user knows better
    (``None`` leaves ours); ``quota_hosts`` are further hosts that count caps against quota.
    """
    found = _capabilities(api, host, model, quota_hosts)
    known = overrides.get(model) if overrides else None
    return found if known is None else _overridden(found, known)


def provider_of_model(model: str) -> str | None:
    """Whose family a model belongs to, whoever serves it; ``None`` for unknown families."""
    family = _family_of(model)
    return None if family is None else family.provider


def api_of_model(model: str) -> str | None:
    """The API under which a model's capabilities and prices are found by its name alone.

    The one with the fullest list of efforts; ``None`` for unknown families.
    """
    family = _family_of(model)
    return None if family is None else _OWN_API[family.provider]


@lru_cache(maxsize=1024)
def _capabilities(api: str, host: str, model: str, quota_hosts: tuple[str, ...]) -> Capabilities:
    provider = api.partition(".")[0]
    counts = provider == "openai" and (
        is_openai_host(host) or host in quota_hosts or bare_host(host) in quota_hosts
    )
    family = _family_of(model)
    if family is None:
        return Capabilities(counts_cap=counts)
    if family.provider != provider:
        # Through another provider's dialect its own steering cannot be spelled.
        return replace(
            family.capabilities,
            counts_cap=counts, efforts=(), default_effort=None, thinking=frozenset(),
        )  # fmt: skip
    efforts = family.capabilities.efforts
    if api == "openai.chat":
        efforts = tuple(effort for effort in efforts if effort != _NEVER_ON_CHAT)
    return replace(family.capabilities, counts_cap=counts, efforts=efforts)


def _overridden(found: Capabilities, known: Mapping[str, Any]) -> Capabilities:
    given = {name: item for name, item in known.items() if item is not None}
    if "efforts" in given:
        given["efforts"] = tuple(given["efforts"])
    if "thinking" in given:
        given["thinking"] = frozenset(given["thinking"])
    return replace(found, **given, known=True)


@lru_cache(maxsize=1024)
def _family_of(model: str) -> _Family | None:
    name = _normal(model)
    return next((item for item in _families() if item.pattern.search(name)), None)


def _normal(model: str) -> str:
    """The model's own name, without the prefixes that gateways and clouds put before it."""
    name = model.lower().rpartition("/")[2].removeprefix("ft:").rpartition("anthropic.")[2]
    return name.replace(".", "-") if name.startswith("claude") else name


@cache
def _families() -> tuple[_Family, ...]:
    text = files("budget_proxy.wire").joinpath("models.toml").read_text(encoding="utf-8")
    return tuple(_family(item) for item in tomllib.loads(text)["family"])


def _family(item: Mapping[str, Any]) -> _Family:
    fields = {name: given for name, given in item.items() if name not in {"match", "provider"}}
    return _Family(re.compile(item["match"]), item["provider"], _overridden(Capabilities(), fields))
