"""Server-sent events, parsed as bytes arrive; no I/O.

Splits on bytes, since JSON may hold U+2028 and characters cut by a chunk's end. The raw bytes
of all events together are exactly what was fed, so that single events can be dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# CR LF, LF or CR. Beginning with a set of characters they are searched for five times as fast.
_EOL: Final = re.compile(rb"[\r\n](?:(?<=\r)\n)?")
# Two of them. A CR only ends a line by itself when no LF follows.
_BLANK_LINE: Final = re.compile(rb"[\r\n](?:(?<=\r)\n|(?<=\n)|(?!\n))(?:\r\n|\n|\r(?!\n))")
_LEADING_EOL: Final = re.compile(rb"(?:\xef\xbb\xbf)?(?:\r\n|\n|\r)")
_BOM: Final = b"\xef\xbb\xbf"
_LEADING_LF: Final = (b"\n", _BOM + b"\n")
_LONGEST_BLANK_LINE: Final = 4


@dataclass(frozen=True, slots=True)
class Event:
    """One block of a stream. ``data`` is empty for comments and keep-alives."""

    name: str
    data: bytes
    raw: bytes


class Parser:
    """Feed it bytes in any pieces; get whole events back. Not reusable."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._begun = False
        self._plain = True  # no CR so far, as providers write it: searched ten times as fast

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this chunk completes."""
        buffer = self._buffer
        buffer += chunk
        self._plain = self._plain and b"\r" not in chunk
        events = []
        start = 0
        while (end := self._end(start)) is not None:
            events.append(self._event(bytes(buffer[start:end])))
            start = self._scanned = end
        del buffer[:start]
        self._scanned = max(0, len(buffer) - _LONGEST_BLANK_LINE)
        return events

    def close(self) -> list[Event]:
        """The stream ended: what is left over, as an event even without its blank line."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return [self._event(rest)] if rest else []

    def _end(self, start: int) -> int | None:
        buffer = self._buffer
        if self._plain:
            if buffer.startswith(_LEADING_LF, start):
                return buffer.index(b"\n", start) + 1
            at = buffer.find(b"\n\n", max(start, self._scanned))
            return None if at < 0 else at + 2
        hit = _LEADING_EOL.match(buffer, start) or _BLANK_LINE.search(
            buffer, max(start, self._scanned)
        )
        if hit is None:
            return None
        end = hit.end()
        # The CR at the very end may be the first half of a CRLF.
        return None if end == len(buffer) and buffer[end - 1] == 0x0D else end  # noqa: PLR2004 (CR)

    def _event(self, raw: bytes) -> Event:
        block = raw if self._begun else raw.removeprefix(_BOM)
        self._begun = True
        name = ""
        data = []
        for line in block.split(b"\n") if self._plain else _EOL.split(block):
            field, _, text = line.partition(b":")
            if field == b"data":
                data.append(text.removeprefix(b" "))
            elif field == b"event":
                name = text.removeprefix(b" ").decode("utf-8", "replace")
        return Event(name, b"\n".join(data), raw)
