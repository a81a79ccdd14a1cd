"""A webhook, by the standard library: one POST, no redirects, short timeouts.

The URL may be a secret (Slack's is): it is named in no message.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from budget_proxy.analytics.delivery import Post
from budget_proxy.errors import ConfigError

_TIMEOUT: Final = 10.0
_OK: Final = range(200, 300)


def webhook_of(url: SecretStr | None, secret: SecretStr | None) -> Post | None:
    """How events are posted; ``None`` where no URL is set. Raises ConfigError."""
    if url is None:
        return None
    return Webhook(url.get_secret_value(), secret.get_secret_value() if secret else None).post


class Webhook:
    """Where events are posted. Raises ConfigError where the URL is none."""

    def __init__(self, url: str, secret: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError("alerts.webhook must be a URL that begins with https:// or http://")
        try:
            self._port = parts.port
        except ValueError:
            raise ConfigError("alerts.webhook has a port that is none") from None
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret

    def post(self, _identifier: str, content: bytes, headers: Mapping[str, str]) -> str | None:
        """Send one event; ``None`` if it was taken, else what went wrong."""
        given = {**headers, "user-agent": "budget-proxy"}
        if self._secret is not None:
            given["authorization"] = f"Bearer {self._secret}"
        connection = self._connection()
        try:
            connection.request("POST", self._path, body=content, headers=given)
            answer = connection.getresponse()
            answer.read(1_000)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return None if answer.status in _OK else f"status {answer.status}"

    def _connection(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=_TIMEOUT, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
