"""What headers tell of a request: whose API it speaks, its key, its signature, its patience.

Reads and writes headers only; base URLs and keys are the caller's. Header names are compared
in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from budget_proxy.types import Body
from budget_proxy.wire import DIALECTS

OPENAI: Final = "openai"
ANTHROPIC: Final = "anthropic"

Headers = Sequence[tuple[str, str]]
_CREDENTIALS: Final = frozenset({"authorization", "x-api-key", "api-key"})
_AZURE: Final = "/openai/"
_OPENAI_ONLY: Final = (_AZURE, "/v1/responses/", "/v1/chat/", "/v1/embeddings")
_SIGNED: Final = "AWS4-"
_BEARER: Final = re.compile(r"\s*bearer\s+(\S+)\s*", re.IGNORECASE)
_RETRIES: Final = "x-stainless-retry-count"
_TIMEOUTS: Final = ("x-stainless-read-timeout", "x-stainless-timeout")
NO_RETRY: Final = ("x-should-retry", "false")
"""The header by which an answer keeps the providers' SDKs from trying again."""


def provider_of(path: str, headers: Headers) -> str:
    """The provider a request is meant for: by its path, else by how it identifies itself.

    Both providers have ``/v1/models``: Anthropic's clients send a version, or their key
    outside of ``authorization``.
    """
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return ANTHROPIC
    if path.startswith(_OPENAI_ONLY):
        return OPENAI
    names = {name.lower() for name, _ in headers}
    if "anthropic-version" in names or ("x-api-key" in names and "authorization" not in names):
        return ANTHROPIC
    return OPENAI


def is_signed(headers: Headers) -> bool:
    """Whether a request is signed, so that nothing in it may be changed."""
    return any(
        name.lower() == "authorization" and value.startswith(_SIGNED) for name, value in headers
    )


def is_retry(headers: Headers) -> bool:
    """Whether an SDK sends a request again by itself (those of both providers say so)."""
    return any(
        name.lower() == _RETRIES and value.strip() not in {"", "0"} for name, value in headers
    )


def timeout_of(headers: Headers) -> float | None:
    """How long the caller says that it waits, in seconds (the SDKs of both providers do)."""
    told = {name.lower(): value for name, value in headers if name.lower() in _TIMEOUTS}
    for name in _TIMEOUTS:
        try:
            return float(told.get(name, ""))
        except ValueError:
            continue
    return None


def credentials_of(headers: Headers) -> set[str]:
    """The keys that a request brings, wherever the providers' clients put them.

    An ``authorization`` by another scheme than Bearer's is an empty one.
    """
    found = set()
    for name, text in headers:
        lower = name.lower()
        if lower == "authorization":
            bearer = _BEARER.fullmatch(text)
            found.add(bearer[1] if bearer else "")
        elif lower in _CREDENTIALS:
            found.add(text.strip())
    return found


def without_credentials(headers: Headers) -> list[tuple[str, str]]:
    """The headers without any key."""
    return [item for item in headers if item[0].lower() not in _CREDENTIALS]


def with_key(provider: str, path: str, headers: Headers, key: str) -> list[tuple[str, str]]:
    """The headers with ``key`` as the only credential, in the form the provider takes."""
    kept = without_credentials(headers)
    if provider == ANTHROPIC:
        return [*kept, ("x-api-key", key)]
    if path.startswith(_AZURE):
        return [*kept, ("api-key", key)]
    return [*kept, ("authorization", f"Bearer {key}")]


def provider_error(provider: str, status: int, message: str, code: str) -> tuple[int, Body]:
    """An error in the provider's own shape, and the status it goes with."""
    dialect = next(item for item in DIALECTS.values() if item.provider == provider)
    return dialect.error(status, message, code)
