"""The guard against web pages, and against listening too widely."""

from __future__ import annotations

import pytest

from budget_proxy.errors import ConfigError
from budget_proxy.proxy.hosts import Guard, check_bind, is_loopback


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:4141", "LOCALHOST:4141", "127.0.0.1:9", "127.0.0.2", "[::1]:4141"],
)
def test_loopback_is_answered_by_any_of_its_names(host: str) -> None:
    """Every way to write this machine's loopback passes, on any port."""
    assert Guard().refusal([("host", host)], "127.0.0.1") is None


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "", "[::2]"]
)
def test_other_names_are_refused(host: str) -> None:
    """A name that was made to point here is not answered; the reason says what to set."""
    refusal = Guard().refusal([("host", host)], "127.0.0.1")
    assert refusal is not None
    assert "allowed_hosts" in refusal


def test_a_request_without_a_host_is_refused() -> None:
    """Nobody who means this proxy leaves the header out."""
    assert Guard().refusal([], "127.0.0.1") is not None


def test_the_address_a_request_came_in_on_is_no_foreign_name() -> None:
    """Called by number, no name was rebound; another number is another matter."""
    assert Guard().refusal([("host", "192.168.1.5:4141")], "192.168.1.5") is None
    assert Guard().refusal([("host", "192.168.1.6:4141")], "192.168.1.5") is not None


def test_names_that_were_set_are_answered() -> None:
    """A name allowed without a port holds for all ports, one with a port for that one."""
    guard = Guard.of(["Proxy.LAN", "other.lan:8080"])
    assert guard.refusal([("host", "proxy.lan:4141")], None) is None
    assert guard.refusal([("host", "other.lan:8080")], None) is None
    assert guard.refusal([("host", "other.lan:4141")], None) is not None


@pytest.mark.parametrize(
    "origin", ["http://localhost:4141", "https://page.lan", "https://page.lan:8"]
)
def test_pages_of_the_proxy_and_allowed_pages_pass(origin: str) -> None:
    """The proxy's own origin and those of allowed hosts may call."""
    headers = [("host", "localhost:4141"), ("origin", origin)]
    assert Guard.of(["page.lan"]).refusal(headers, None) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "http://localhost:3000", "http://127.0.0.1:4141", "file://",
        "http://[::1", "http://localhost\u2100", "",
    ],
)  # fmt: skip
def test_pages_from_elsewhere_are_refused(origin: str) -> None:
    """A page of another origin is kept out, though the browser runs on this machine."""
    refusal = Guard().refusal([("host", "localhost:4141"), ("origin", origin)], None)
    assert refusal is not None
    assert "web pages" in refusal


def test_loopback_names() -> None:
    """Names and numbers of loopback, and no others."""
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "", "192.168.0.1", "localhost.lan")))  # noqa: S104 (asked about, not listened on)


def never() -> int:
    """Fails where nobody should ask."""
    pytest.fail("on loopback nobody counts keys")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_on_loopback_no_key_is_asked_for(host: str) -> None:
    """Where only this machine can call, the history is not even looked at."""
    check_bind(host, keys=never)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "proxy.lan", ""])  # noqa: S104 (refused)
def test_beyond_loopback_callers_have_to_say_who_they_are(host: str) -> None:
    """Without a virtual key in force nobody is let in from elsewhere; what to do is said."""
    with pytest.raises(ConfigError, match="budget-proxy keys create"):
        check_bind(host, keys=lambda: 0)
    check_bind(host, keys=lambda: 1)
