"""A file of recorded calls, whatever it is packed, encoded and laid out as: rows, one by one.

Understood are plain and gzip; UTF-8, and UTF-16 with its mark; JSON lines, a JSON array or
other JSON values one after another, and tables (CSV; also by tabs or semicolons). A row is a
JSON object, or a table's line by its header. Never holds more than one row, of at most LONGEST
bytes, in memory.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, Literal, cast

import orjson

from budget_proxy.errors import InvalidInput

Row = dict[str, Any]
OnBad = Callable[[int, str], None]
Layout = Literal["lines", "values", "table"]
_Reader = Callable[[IO[bytes]], Iterator[tuple[int, bytes | Row | None]]]

LONGEST: Final = 32 << 20
"""Bytes of the longest line or JSON value that is read; longer ones count as malformed."""

_HEAD: Final = 1 << 18
_CHUNK: Final = 1 << 16
_PIECE: Final = 1 << 12
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHERS: Final = {
    b"PAR1": "a Parquet file: export JSON lines or CSV instead",
    b"PK\x03\x04": "a ZIP archive: unpack it first",
    b"\x28\xb5\x2f\xfd": "packed by Zstandard: unpack it first",
    b"SQLite format 3": "a SQLite database: export its table as CSV or JSON lines",
}
_DELIMITERS: Final = ",\t;"
_LEAST_COLUMNS: Final = 3
_STRUCTURE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]"]', re.DOTALL)
_SPREAD: Final = re.compile(rb'\{\s*\n\s*["}]')
"""The beginning of an object that is written over several lines."""

_BREAKS: Final = (OSError, EOFError, zlib.error, UnicodeError)


class Source:
    """One file; ``unit`` says what its rows are counted in. Raises InvalidInput if it is none.

    ``layout`` is told by its beginning, if it is not given; it is then read twice.
    ``size`` is the file's, in bytes; ``position`` is how many of them have been read.
    """

    def __init__(self, path: str | Path, *, layout: Layout | None = None) -> None:
        self.path = Path(path)
        self.position = 0
        try:
            about = self.path.stat()
            head = b"" if layout else self._beginning(about.st_mode)
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from error
        for magic, what in _OTHERS.items():
            if head.startswith(magic):
                raise self._unreadable(f"it is {what}")
        self.size = about.st_size
        self.layout = layout or layout_of(head)
        self.unit = "item" if self.layout == "values" else "line"

    def rows(self, on_bad: OnBad) -> Iterator[tuple[int, Row]]:
        """Each row with its number, from 1; ``on_bad`` gets what is none, and why.

        Blank lines are no rows. A list of rows within an object (``data``, as APIs answer)
        counts as so many rows of one number. Raises InvalidInput where the file breaks off.
        """
        for number, found in self.texts():
            if isinstance(found, dict):
                yield number, found
                continue
            try:
                row = parsed(found)
            except InvalidInput as error:
                on_bad(number, str(error))
                continue
            for part in _unwrapped(row):
                if isinstance(part, dict):
                    yield number, part
                else:
                    on_bad(number, f"a JSON object is needed, not {kind(part)}")

    def texts(self) -> Iterator[tuple[int, bytes | Row | None]]:
        """Each line or value as it stands, with its number; a table's as a row.

        ``None`` is one that is too long. Raises InvalidInput where the file breaks off.
        """
        number, self.position = 0, 0
        try:
            with self._opened() as stream:
                for number, text in _READERS[self.layout](stream):
                    yield number, text
        except _BREAKS as error:
            if isinstance(error, OSError) and error.errno and not self.position:
                raise self._unreadable(str(error.strerror)) from error
            raise InvalidInput(
                f"the recording {self.path} breaks off after {self.unit} {number}: {error}"
            ) from error

    def _unreadable(self, why: str) -> InvalidInput:
        return InvalidInput(f"the recording {self.path} cannot be read: {why}")

    def _beginning(self, mode: int) -> bytes:
        """The first bytes; fewer where it breaks off, which is told on reading. Raises OSError."""
        if stat.S_ISFIFO(mode):
            raise self._unreadable(
                "it is a pipe, which cannot be looked at first: save it to a file"
            )
        head = b""
        with suppress(EOFError, zlib.error, UnicodeError, gzip.BadGzipFile), self._opened() as file:
            while len(head) < _HEAD and (more := file.read(_PIECE)):
                head += more
        return head

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with self.path.open("rb") as file:
            raw = _Watched(file, self)
            buffered = io.BufferedReader(raw, _CHUNK)
            stream = cast("IO[bytes]", buffered)
            if buffered.peek(2)[:2] == _GZIP:
                stream = cast("IO[bytes]", gzip.GzipFile(fileobj=buffered))
            marked = io.BufferedReader(cast("io.RawIOBase", stream), _CHUNK)
            if marked.peek(2)[:2] in _UTF_16:
                yield cast(
                    "IO[bytes]", io.BufferedReader(_Recoded(cast("IO[bytes]", marked)), _CHUNK)
                )
            else:
                if marked.peek(3)[:3] == _BOM:
                    marked.read(3)
                yield cast("IO[bytes]", marked)


class _Watched(io.RawIOBase):
    """A file that tells its source how far it has been read."""

    def __init__(self, file: IO[bytes], source: Source) -> None:
        self._file = file
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._source.position += len(data)
        return len(data)


class _Recoded(io.RawIOBase):
    """UTF-16 as UTF-8. Reading raises UnicodeError."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            data = self._stream.read(_CHUNK)
            self._rest = self._decoder.decode(data, final=not data).encode()
            if not data:
                break
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def layout_of(head: bytes) -> Layout:
    """How a file is laid out, by its beginning."""
    text = head.lstrip()
    if text[:1] == b"[":
        return "values"
    if text[:1] == b"{":
        return "values" if _SPREAD.match(text) else "lines"
    header = text.partition(b"\n")[0].decode(errors="replace")
    delimiter = _delimiter(header)
    return "table" if header.count(delimiter) + 1 >= _LEAST_COLUMNS else "lines"


def lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """The lines that are not blank, with their numbers; ``None`` for one that is too long."""
    number = 0
    while line := stream.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            while line and not line.endswith(b"\n"):
                line = stream.readline(_CHUNK)
            yield number, None
        elif text := line.strip():
            yield number, text


def values(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The objects of a JSON array, or those that follow one another, as text, with numbers.

    Raises EOFError where one does not end, or is longer than LONGEST.
    """
    number, buffer, ended = 0, b"", False
    while True:
        begin = buffer.find(b"{")
        buffer = buffer[begin:] if begin >= 0 else b""
        end = _end(buffer) if buffer else 0
        if end:
            number += 1
            yield number, buffer[:end]
            buffer = buffer[end:]
            continue
        if ended:
            break
        if len(buffer) > LONGEST:
            raise EOFError(f"a JSON value of more than {LONGEST >> 20} MiB")
        more = stream.read(max(_CHUNK, len(buffer)))  # doubling: no byte is looked at often
        ended = not more
        buffer += more
    if buffer:
        raise EOFError("a JSON value does not end")


def _end(text: bytes) -> int:
    """Where the object that ``text`` begins with ends; 0 if that is not there yet."""
    depth = 0
    for match in _STRUCTURE.finditer(text):
        sign = text[match.start()]
        if sign in b"{[":
            depth += 1
        elif sign in b"}]":
            depth -= 1
            if depth == 0:
                return match.end()
        elif match.end() - match.start() == 1:  # a string that does not end
            return 0
    return 0


def _table(stream: IO[bytes]) -> Iterator[tuple[int, Row]]:
    """A table's lines by its header; empty cells are left out. Raises EOFError."""
    csv.field_size_limit(LONGEST)
    text = io.TextIOWrapper(cast("Any", stream), "utf-8", errors="replace", newline="")
    header = text.readline()
    delimiter = _delimiter(header)
    names = next(csv.reader([header], delimiter=delimiter), [])
    names = [name.strip() for name in names]
    reader = csv.reader(text, delimiter=delimiter)
    try:
        for cells in reader:
            row = {name: cell for name, cell in zip(names, cells, strict=False) if cell != ""}
            if row:
                yield reader.line_num + 1, row
    except csv.Error as error:
        raise EOFError(str(error)) from error


def _delimiter(header: str) -> str:
    return max(_DELIMITERS, key=header.count)


def parsed(text: bytes | None) -> Row:
    """The object that a line or value is. Raises InvalidInput with the reason, without the text."""
    if text is None:
        raise InvalidInput(f"longer than {LONGEST >> 20} MiB")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"no valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"a JSON object is needed, not {kind(value)}")
    return value


def _unwrapped(value: Row) -> list[Any]:
    if "ts" not in value:
        for name in ("data", "observations"):
            if isinstance(value.get(name), list):
                return cast("list[Any]", value[name])
    return [value]


def kind(value: Any) -> str:
    """What a JSON value is, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


_READERS: Final[Mapping[Layout, _Reader]] = MappingProxyType(
    {"lines": lines, "values": values, "table": _table}
)
