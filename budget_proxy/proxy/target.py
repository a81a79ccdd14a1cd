"""Where a request goes: which provider's base URL, under which path, with whose key.

The caller's path is kept; a base URL that names its own version (``…/v1``, ``…/v1beta/openai``)
stands for the caller's ``/v1``, whichever way it is written. A key of ours takes the place of
the caller's; without one the caller's own is forwarded, but never a virtual one. Keys never reach
a log or an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from budget_proxy.errors import ConfigError
from budget_proxy.proxy.headers import Headers
from budget_proxy.settings import Settings
from budget_proxy.wire.base import Dialect
from budget_proxy.wire.provider import ANTHROPIC, OPENAI, provider_of, with_key

_VERSION: Final = re.compile(r"/v\d[^/]*(/|$)")
_CALLERS_VERSION: Final = "/v1"
_AZURE: Final = "/openai/"


class NoKey(Exception):
    """An upstream asks for a key, and the proxy has none."""


@dataclass(frozen=True, slots=True)
class Target:
    """One provider's upstream; ``setting`` and ``key_name`` say where it was configured."""

    provider: str
    base: SplitResult
    setting: str
    key_name: str
    key: SecretStr | None = None

    @property
    def host(self) -> str:
        """Host and, if given, port."""
        return self.base.netloc.rpartition("@")[2]

    @property
    def origin(self) -> str:
        """The base URL as it may be shown: without what may be secret."""
        return f"{self.base.scheme}://{self.host}{self.base.path}"

    def url(self, path: str, query: str) -> str:
        """The upstream's URL of a caller's path (which starts with /v1/ or /openai/)."""
        base = self.base.path
        if path.startswith(_AZURE):
            base = base.partition("/openai")[0]
        elif _VERSION.search(base):
            path = path.removeprefix(_CALLERS_VERSION)
        url = f"{self.base.scheme}://{self.base.netloc}{base}{path}"
        return f"{url}?{query}" if query else url

    def check_key(self) -> None:
        """Raise NoKey where callers with a virtual key cannot be served: that one stays here."""
        if self.key is None:
            raise NoKey(
                f"budget-proxy has no key of its own for {self.origin}, which takes no virtual "
                f"ones: set {self.key_name} where the proxy runs (any text, if none is needed)"
            )

    def headers(self, path: str, headers: Headers) -> Headers:
        """The headers with our key, if there is one."""
        if self.key is None:
            return headers
        return with_key(self.provider, path, headers, self.key.get_secret_value())


class Targets:
    """The upstreams of one proxy. Raises ConfigError on a base URL that is none."""

    def __init__(self, settings: Settings) -> None:
        self.openai = Target(
            OPENAI,
            _base(settings.openai_base_url, "openai_base_url"),
            "BUDGET_PROXY_OPENAI_BASE_URL",
            "OPENAI_API_KEY",
            _key(settings.openai_api_key),
        )
        self.anthropic = Target(
            ANTHROPIC,
            _base(settings.anthropic_base_url, "anthropic_base_url"),
            "BUDGET_PROXY_ANTHROPIC_BASE_URL",
            "ANTHROPIC_API_KEY",
            _key(settings.anthropic_api_key),
        )
        self._of = {target.provider: target for target in (self.openai, self.anthropic)}

    def of(self, dialect: Dialect | None, path: str, headers: Headers) -> Target:
        """The upstream that a request is meant for: a call goes where its dialect is spoken."""
        provider = provider_of(path, headers) if dialect is None else dialect.provider
        return self._of[provider]


def _base(url: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(url.strip().rstrip("/"))
    except ValueError:  # half an IPv6 address
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise ConfigError(f"{name} must be an http(s) URL such as https://api.example.com/v1")
    return parts


def _key(key: SecretStr | None) -> SecretStr | None:
    return key if key is not None and key.get_secret_value().strip() else None
