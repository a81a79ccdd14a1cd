"""Which headers pass."""

from __future__ import annotations

from budget_proxy.proxy import headers


def test_bytes_become_text_whatever_they_are() -> None:
    """Names come in lower case; values may be UTF-8 or Latin-1."""
    raw = [(b"X-A", "é".encode()), (b"x-b", b"caf\xe9"), (b"x-a", b"2")]
    assert headers.decoded(raw) == [("x-a", "é"), ("x-b", "café"), ("x-a", "2")]


def test_a_caller_s_connection_is_its_own() -> None:
    """Hop-by-hop headers, those that Connection names, and those that sending sets go."""
    sent = [
        ("connection", "Keep-Alive, X-Mine"), ("keep-alive", "5"), ("x-mine", "1"),
        ("transfer-encoding", "chunked"), ("content-length", "3"), ("host", "localhost"),
        ("expect", "100-continue"), ("te", "trailers"), ("content-type", "application/json"),
        ("accept", "*/*"), ("accept", "text/html"),
    ]  # fmt: skip
    assert headers.for_upstream(sent) == sent[-3:]


def test_an_upstream_s_length_and_coding_pass() -> None:
    """On the way back only the connection's headers are removed."""
    got = [("transfer-encoding", "chunked"), ("content-length", "3"), ("content-encoding", "br")]
    assert headers.for_caller(got) == got[1:]


def test_what_is_read_is_asked_for_uncompressed() -> None:
    """The caller's codings are replaced, not added to."""
    assert headers.identity([("accept-encoding", "gzip"), ("a", "b")]) == [
        ("a", "b"), ("accept-encoding", "identity"),
    ]  # fmt: skip


def test_one_length_and_it_is_right() -> None:
    """An answer in one piece says its own length, whatever the upstream's was."""
    assert headers.whole([("content-length", "9"), ("a", "b")], 4) == [
        ("a", "b"), ("content-length", "4"),
    ]  # fmt: skip


def test_a_stream_is_held_back_by_nobody() -> None:
    """No length (an event may go missing), no cache, no buffer of a web server in between."""
    got = [("content-length", "9"), ("cache-control", "private"), ("x-request-id", "r")]
    assert headers.streamed(got) == [
        ("x-request-id", "r"), ("cache-control", "no-cache"), ("x-accel-buffering", "no"),
    ]  # fmt: skip
