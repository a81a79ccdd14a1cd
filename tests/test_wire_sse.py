from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.wire.sse import Event, Parser
from tests.wire_bodies import ANTHROPIC_STREAM, CHAT_STREAM


def _parse(*chunks: bytes) -> list[Event]:
    parser = Parser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.close()


def _seen(*chunks: bytes) -> list[tuple[str, bytes]]:
    return [(event.name, event.data) for event in _parse(*chunks)]


def test_name_and_data() -> None:
    """An event has its name and its data without the one optional space."""
    assert _seen(b"event: ping\ndata:  two\n\n") == [("ping", b" two")]
    assert _seen(b"event:ping\ndata:one\n\n") == [("ping", b"one")]


def test_line_endings() -> None:
    """CR, LF and CRLF all end lines."""
    for eol in (b"\n", b"\r", b"\r\n"):
        text = eol.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b""])
        assert _seen(text) == [("a", b"1"), ("", b"2")], eol


def test_crlf_cut_between_chunks() -> None:
    """A CRLF cut in half is one line ending, not two."""
    assert _seen(b"data: 1\r", b"\ndata: 2\r\n\r", b"\n") == [("", b"1\n2")]


def test_multi_line_data() -> None:
    """Data lines of one event are joined by a newline."""
    assert _seen(b"data: 1\ndata: 2\n\n") == [("", b"1\n2")]


def test_comments_and_other_fields() -> None:
    """Comments, ids and retries carry no data."""
    assert _seen(b": ping\n\nid: 7\nretry: 10\ndata: x\n\n") == [("", b""), ("", b"x")]


def test_no_final_blank_line() -> None:
    """The last event counts even where the stream ends without its blank line."""
    assert _seen(b"data: 1\n\ndata: 2") == [("", b"1"), ("", b"2")]


def test_byte_order_mark() -> None:
    """A byte order mark before the first field is no part of it."""
    assert _seen(b"\xef\xbb\xbfdata: 1\n\n") == [("", b"1")]


def test_unicode_line_separator_is_no_line_ending() -> None:
    """U+2028 and U+0085 inside JSON do not split a line."""
    data = '{"a":"\u2028\x85"}'.encode()
    assert _seen(b"data: " + data + b"\n\n") == [("", data)]


def test_events_come_as_soon_as_they_are_complete() -> None:
    """An event is handed out by the chunk that ends it, not by the next one."""
    parser = Parser()
    assert parser.feed(b"data: 1\n") == []
    assert [event.data for event in parser.feed(b"\nda")] == [b"1"]
    assert [event.data for event in parser.feed(b"ta: 2\r\n\r\n")] == [b"2"]
    assert parser.close() == []


PIECES = st.sampled_from(
    [b"data: a", b"data:b", b"event: e", b": c", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"x",
     b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"data"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map(b"".join) | st.binary(max_size=60), st.data())
def test_any_chunking_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    """However a stream is cut, events and their raw bytes are the same, and no byte is lost."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    bounds = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(bounds)]
    events = _parse(*chunks)
    assert b"".join(event.raw for event in events) == stream
    assert events == _parse(stream)


def test_byte_by_byte() -> None:
    """Real streams fed one byte at a time give the events of the whole."""
    for stream in (CHAT_STREAM, ANTHROPIC_STREAM, CHAT_STREAM.replace(b"\n", b"\r\n")):
        single = _parse(*(stream[i : i + 1] for i in range(len(stream))))
        assert single == _parse(stream)
        assert len(single) == stream.count(b"data:")


def test_long_event_in_small_pieces() -> None:
    """A megabyte in 4,096 pieces comes out whole, and no piece is scanned again."""
    parser = Parser()
    parser.feed(b"data: ")
    for _ in range(4096):
        assert parser.feed(b"x" * 256) == []
        assert parser._scanned >= len(parser._buffer) - 4
    assert [len(event.data) for event in parser.feed(b"\n\n")] == [256 * 4096]
