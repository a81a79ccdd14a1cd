"""Who may talk to the proxy: the guard against web pages that reach for it.

A page in a browser can be made to call any address, also one on loopback (by DNS rebinding
its own name is made to mean 127.0.0.1), and would spend the user's provider keys. Such a call
gives itself away by the Host or the Origin that the browser sends. Programs on this machine
are not kept out: who may log in here may call, until there are virtual keys (keyring.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from budget_proxy.errors import ConfigError
from budget_proxy.proxy.headers import Headers, first

_LOCALHOST: Final = "localhost"


@dataclass(frozen=True, slots=True)
class Guard:
    """The names, besides loopback's, under which the proxy may be called (``allowed_hosts``)."""

    allowed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, hosts: Iterable[str]) -> Guard:
        """A guard from settings: ``name`` or ``name:port``."""
        return cls(frozenset(host.strip().lower() for host in hosts))

    def refusal(self, headers: Headers, address: str | None) -> str | None:
        """Why a request is refused, ``None`` if it is not.

        ``address`` is the one it came in on: called by that number, no name was rebound.
        """
        host = (first(headers, "host") or "").lower()
        name = _name(host)
        if not (is_loopback(name) or name == address or self._allows(host, name)):
            return (
                f"this proxy does not answer to the host {host[:100]!r}: call it as localhost, "
                "or add the host to allowed_hosts in budget_proxy.toml"
            )
        origin = first(headers, "origin")
        if origin is None or self._is_ours(origin.lower(), host):
            return None
        return (
            f"web pages of {origin[:100]!r} may not use this proxy: add the page's host to "
            "allowed_hosts in budget_proxy.toml if they should"
        )

    def _allows(self, host: str, name: str) -> bool:
        return bool(name) and (host in self.allowed or name in self.allowed)

    def _is_ours(self, origin: str, host: str) -> bool:
        try:
            page = urlsplit(origin).netloc
        except ValueError:  # half an IPv6 address, or a name that is none
            return False
        return bool(page) and (page == host or self._allows(page, _name(page)))


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if name == _LOCALHOST:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def is_foreign(address: str | None) -> bool:
    """Whether what came in on this address may come from another machine; a name is no address."""
    try:
        return address is not None and not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check_bind(host: str, *, keys: Callable[[], int]) -> None:
    """Raise ConfigError where listening on ``host`` would let everyone in who reaches it.

    Beyond loopback callers have to say who they are, for which there must be virtual ``keys`` in
    force; how many there are is asked only where it matters.
    """
    if not is_loopback(host.strip("[]").lower()) and not keys():
        raise ConfigError(
            f"--host {host} listens beyond this machine, and no virtual key is in force: make one "
            "with `budget-proxy keys create --name NAME`, or use --host 127.0.0.1"
        )


def _name(host: str) -> str:
    """The host of ``host:port``, without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
