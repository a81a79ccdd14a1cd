"""The content codings that clients and providers use, in each of their forms."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from functools import partial

Pack = Callable[[bytes], bytes]


def raw_deflate(content: bytes) -> bytes:
    """Deflate without zlib's frame, as some clients and servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


CODINGS: dict[str, tuple[str, Pack]] = {
    "gzip": ("gzip", partial(gzip.compress, mtime=0)),
    "x-gzip": ("X-GZIP", partial(gzip.compress, mtime=0)),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "identity": ("identity", bytes),
}
"""By name: what the header says, and how it is done."""


def in_pieces(pieces: list[bytes], coding: str) -> list[bytes]:
    """Compress a stream piece by piece, each flushed so that it can be read when it comes."""
    bits = {"gzip": 31, "deflate": zlib.MAX_WBITS, "raw deflate": -zlib.MAX_WBITS}
    packer = zlib.compressobj(wbits=bits[coding])
    sent = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*sent, packer.flush()]
