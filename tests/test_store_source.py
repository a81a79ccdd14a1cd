from __future__ import annotations

import gzip
import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.errors import InvalidInput
from budget_proxy.store import source as module
from budget_proxy.store.source import Row, Source

ROWS: list[dict[str, Any]] = [
    {"a": 1, "text": 'braces } ] { [ and \\ " quotes'},
    {"a": 2, "text": "Zürich 東京", "inner": {"list": [{}, []]}},
    {"a": 3, "text": ""},
]

Bad = list[tuple[int, str]]


def read(path: Path) -> tuple[list[tuple[int, Row]], Bad]:
    """The rows of a file, and what was bad."""
    bad: Bad = []
    return list(Source(path).rows(lambda number, why: bad.append((number, why)))), bad


def put(path: Path, data: bytes | str) -> Path:
    """A file with this content."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


LINES = "\n".join(json.dumps(row) for row in ROWS)
LAYOUTS = {
    "lines": LINES,
    "windows lines": LINES.replace("\n", "\r\n") + "\r\n",
    "blank lines": "\n\n" + LINES.replace("\n", "\n\n  \n") + "\n\n",
    "array": json.dumps(ROWS),
    "spread array": json.dumps(ROWS, indent=2),
    "array of lines": "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + "\n]\n",
    "spread objects": "\n".join(json.dumps(row, indent=4) for row in ROWS),
    "an API's answer": json.dumps({"data": ROWS, "meta": {"page": 1}}),
    "a spread answer": json.dumps({"object": "list", "data": ROWS}, indent=1),
    "unescaped": json.dumps(ROWS, ensure_ascii=False),
}
PACKINGS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "marked": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "marked gzip": lambda text: gzip.compress(b"\xef\xbb\xbf" + text.encode()),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 big-endian": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_the_same_however_they_are_laid_out(
    tmp_path: Path, layout: str, packing: str
) -> None:
    """Lines, arrays, objects and answers of APIs, packed and encoded in any way."""
    rows, bad = read(put(tmp_path / "x", PACKINGS[packing](LAYOUTS[layout])))
    assert [row for _, row in rows] == ROWS
    assert bad == []


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_table_has_a_row_a_line(tmp_path: Path, delimiter: str, packing: str) -> None:
    """By its header; cells may hold delimiters, quotes and line breaks, empty ones are absent."""
    text = 'id,"two words",c,d\r\n1,"x,;\ty ""z""\nw",,é\r\n\r\n2,,,4\r\n'
    path = put(tmp_path / "x", PACKINGS[packing](text.replace(",", delimiter)))
    rows, bad = read(path)
    cell = f'x{delimiter};\ty "z"\nw'
    assert rows == [(3, {"id": "1", "two words": cell, "d": "é"}), (5, {"id": "2", "d": "4"})]
    assert bad == []


@pytest.mark.parametrize(
    "data", [b"", b"\n \n", b"\xef\xbb\xbf", b"[]", b"[\n]", gzip.compress(b"", mtime=0)]
)
def test_an_empty_file_has_no_rows(tmp_path: Path, data: bytes) -> None:
    """However it is empty."""
    assert read(put(tmp_path / "x", data)) == ([], [])


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("{broken}", "no valid JSON"),
        ('{"a": "\x00"}', "no valid JSON"),
        ('{"a": "\\ud800"}', "no valid JSON"),
        ('{"a": NaN}', "no valid JSON"),
        ('{"a": 1e999}', "no valid JSON"),
        ('{"data": [5]}', "a JSON object is needed, not a number"),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_a_malformed_item_is_told_and_the_others_read(
    tmp_path: Path, item: str, why: str, array: bool
) -> None:
    """In lines and in arrays alike, by its number, without its text."""
    text = f'[{{"a": 1}},\n{item},\n{{"a": 3}}]' if array else f'{{"a": 1}}\n{item}\n{{"a": 3}}\n'
    rows, bad = read(put(tmp_path / "x", text))
    assert rows == [(1, {"a": 1}), (3, {"a": 3})]
    ((number, reason),) = bad
    assert number == 2
    assert why in reason


def test_bytes_of_another_encoding_are_told(tmp_path: Path) -> None:
    """JSON is UTF-8; a table's odd bytes are replaced, its numbers are read."""
    rows, bad = read(put(tmp_path / "x", '{"a": 1}\n{"a": "é"}\n{"a": 3}'.encode("latin-1")))
    assert [number for number, _ in rows] == [1, 3]
    assert [number for number, _ in bad] == [2]
    rows, bad = read(put(tmp_path / "y", "a,b,c\né,2,3\n".encode("latin-1")))
    assert rows == [(2, {"a": "\ufffd", "b": "2", "c": "3"})]


def test_a_line_that_is_too_long_is_passed_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as malformed, and what follows is read; it is never in memory as a whole."""
    monkeypatch.setattr(module, "LONGEST", 1 << 20)
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.write(b'{"a": 1}\n{"a": "')
        for _ in range(64):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"a": 3}\n')
    tracemalloc.start()
    rows, bad = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [number for number, _ in rows] == [1, 3]
    assert bad == [(2, "longer than 1 MiB")]
    assert peak < 16 << 20


def test_a_long_array_is_streamed(tmp_path: Path) -> None:
    """Memory does not grow with the file."""
    path = tmp_path / "x"
    with path.open("w") as file:
        file.write("[")
        for number in range(20_000):
            file.write(json.dumps({"a": number, "text": "x" * 1000}) + ",\n")
        file.write('{"a": -1}]')
    tracemalloc.start()
    count = sum(1 for _ in Source(path).rows(lambda *_: None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_001
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("data", "read_before"),
    [
        ('[{"a": 1}, {"a": 2}, {"a": ', 2),
        ('[{"a": 1}, {"a": "', 1),
        ('{\n"a": 1', 0),
    ],
)
def test_json_that_breaks_off_is_a_clear_error(tmp_path: Path, data: str, read_before: int) -> None:
    """After what came before it."""
    found = Source(put(tmp_path / "x", data)).rows(lambda *_: None)
    assert [number for number, _ in islice(found, read_before)] == list(range(1, read_before + 1))
    with pytest.raises(InvalidInput, match=f"breaks off after item {read_before}: a JSON value"):
        next(found)


def test_a_value_that_is_too_long_ends_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it would end cannot be known."""
    monkeypatch.setattr(module, "LONGEST", 1000)
    path = put(tmp_path / "x", json.dumps([{"a": 1}, {"a": "x" * 200_000}, {"a": 3}]))
    with pytest.raises(InvalidInput, match="a JSON value of more than"):
        list(Source(path).rows(lambda *_: None))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PAR1\x15\x04", "a Parquet file: export JSON lines or CSV"),
        (b"PK\x03\x04\x14", "a ZIP archive: unpack it"),
        (b"\x28\xb5\x2f\xfd\x00", "packed by Zstandard"),
        (b"SQLite format 3\x00", "a SQLite database"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, data: bytes, what: str) -> None:
    """With what to do about them."""
    with pytest.raises(InvalidInput, match=what):
        Source(put(tmp_path / "x", data))


def test_how_far_it_has_been_read(tmp_path: Path) -> None:
    """In bytes of the file, also where it is packed: from nothing to all."""
    path = put(tmp_path / "x", gzip.compress(LINES.encode() * 50))
    source = Source(path)
    list(source.rows(lambda *_: None))
    assert source.position == source.size == path.stat().st_size


objects = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name not in {"data", "observations"}),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
)


@settings(max_examples=60)
@given(st.lists(objects, min_size=1, max_size=8), st.sampled_from([None, 0, 3]), st.booleans())
def test_an_array_has_the_rows_that_lines_have(
    tmp_path_factory: pytest.TempPathFactory, found: list[Row], indent: int | None, ascii_: bool
) -> None:
    """Whatever stands in them."""
    path = tmp_path_factory.mktemp("any") / "x"
    put(path, json.dumps(found, indent=indent, ensure_ascii=ascii_))
    rows, bad = read(path)
    assert [row for _, row in rows] == found
    assert bad == []


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """And nothing else."""
    path = put(tmp_path_factory.mktemp("any") / "x", data)
    try:
        rows, _ = read(path)
    except InvalidInput:
        return
    assert all(isinstance(row, dict) for _, row in rows)


def test_a_pipe_cannot_be_looked_at_first(tmp_path: Path) -> None:
    """What was read to tell its layout would be lost; with a layout it is read once."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(InvalidInput, match="it is a pipe"):
        Source(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(LINES))
    writer.start()
    rows = list(Source(pipe, layout="lines").rows(lambda *_: None))
    writer.join()
    assert [row for _, row in rows] == ROWS
