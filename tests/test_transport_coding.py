"""Compressed bodies, unpacked within bounds."""

from __future__ import annotations

import gzip
import resource
import time
import zlib

import pytest

from budget_proxy.transport.coding import MAX_BODY, TooLarge, unpacked, without_coding
from tests.codings import CODINGS, raw_deflate

BODY = b'{"model": "m", "messages": []}' * 10


@pytest.mark.parametrize("name", CODINGS)
def test_every_coding_is_unpacked(name: str) -> None:
    """What clients call gzip and deflate, in each form that they give it, and none at all."""
    encoding, pack = CODINGS[name]
    assert unpacked(pack(BODY), [("Content-Encoding", encoding)], len(BODY)) == BODY


def test_without_a_coding_a_body_is_as_it_came() -> None:
    """The same object, not a copy."""
    assert unpacked(BODY, [("content-type", "application/json")], 10**6) is BODY


def test_several_codings_come_off_in_reverse() -> None:
    """In one header or in several; the last applied is the first to go."""
    packed = zlib.compress(gzip.compress(BODY))
    assert unpacked(packed, [("content-encoding", "gzip, Deflate")], 10**6) == BODY
    split = [("content-encoding", "gzip"), ("x", "y"), ("content-encoding", "identity, deflate")]
    assert unpacked(packed, split, 10**6) == BODY


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "br, gzip", "compress"])
def test_what_we_do_not_know_is_not_read(encoding: str) -> None:
    """One unknown coding among known ones is enough."""
    assert unpacked(gzip.compress(BODY), [("content-encoding", encoding)], 10**6) is None


@pytest.mark.parametrize("name", [name for name in CODINGS if name != "identity"])
def test_what_is_broken_is_not_read(name: str) -> None:
    """Cut off, or never compressed at all: the provider's to judge."""
    encoding, pack = CODINGS[name]
    headers = [("content-encoding", encoding)]
    assert unpacked(pack(BODY)[:-1], headers, 10**6) is None
    assert unpacked(b"{}", headers, 10**6) is None


def test_the_limit_is_that_of_the_unpacked_body() -> None:
    """Up to it a body is read, one byte more is too much; in all members together."""
    headers = [("content-encoding", "gzip")]
    twice = gzip.compress(BODY) * 2
    assert unpacked(twice, headers, 2 * len(BODY)) == BODY * 2
    for packed, limit in ((twice, 2 * len(BODY) - 1), (gzip.compress(BODY), len(BODY) - 1)):
        with pytest.raises(TooLarge, match=f"longer than {limit} bytes"):
            unpacked(packed, headers, limit)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bomb_is_not_unpacked(layers: int) -> None:
    """A gigabyte in a megabyte, or in a kilobyte in two layers, takes no more than the limit."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()
    if layers == 2:
        bomb = gzip.compress(bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLarge):
        unpacked(bomb, [("content-encoding", ", ".join(["gzip"] * layers))], MAX_BODY)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 * 1024  # KiB, of a GiB


def test_many_small_members_do_not_keep_us_busy() -> None:
    """A megabyte of empty members is given up on, not gone through one by one."""
    flood = gzip.compress(b"") * 50_000
    started = time.process_time()
    assert unpacked(flood, [("content-encoding", "gzip")], MAX_BODY) is None
    assert time.process_time() - started < 5  # a second is far beyond what giving up takes


def test_members_of_all_sizes_are_put_together() -> None:
    """Empty ones, small ones and megabytes, wherever what is unpacked at a time may end."""
    large = bytes(range(256)) * 8_000
    packed = gzip.compress(b"") * 900 + gzip.compress(large, compresslevel=0) + gzip.compress(BODY)
    assert unpacked(packed, [("content-encoding", "gzip")], MAX_BODY) == large + BODY


def test_more_codings_than_anybody_needs_are_not_read() -> None:
    """Two on top of each other are; a third would only keep us busy."""
    twice = gzip.compress(gzip.compress(BODY))
    assert unpacked(twice, [("content-encoding", "gzip, gzip")], MAX_BODY) == BODY
    thrice = [("content-encoding", "gzip, gzip"), ("content-encoding", "gzip")]
    assert unpacked(gzip.compress(twice), thrice, MAX_BODY) is None


def test_a_plain_body_says_so() -> None:
    """The coding's header goes, whatever its case, and no other."""
    headers = [("Content-Encoding", "gzip"), ("content-type", "application/json")]
    assert without_coding(headers) == headers[1:]


def test_raw_deflate_has_no_frame() -> None:
    """The form that these tests call raw is none that zlib's frame would open."""
    with pytest.raises(zlib.error):
        zlib.decompress(raw_deflate(BODY))
