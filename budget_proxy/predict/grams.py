"""Words and pairs of neighbouring words as keyed 16-bit hashes: a text's topic without its text.

Keyed, so that nobody without the installation's salt can look a word up; folded to 16 bits, so
that many words share each number. Numbers are masked: what is counted differs from call to
call, what it is asked for does not.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

Grams = npt.NDArray[np.uint16]
_Hashed = npt.NDArray[np.uint64]

_REMEMBERED: Final = 32_768
_LONGEST: Final = 48
"""Characters of a word that count."""
_FIRST: Final = np.uint64(0x9E3779B97F4A7C15)
_SECOND: Final = np.uint64(0xC2B2AE3D27D4EB4F)
_LITTLE: Final = np.dtype("<u8")
_FOLD: Final = np.uint64(48)
_FOLDED: Final = np.uint64(0xFFFF << 48)


class _Hashes(dict[str, bytes]):
    """The keyed hash of each word met; words repeat, so most are found. Bounded."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def __missing__(self, word: str) -> bytes:
        if len(self) >= _REMEMBERED:
            self.clear()
        known = "0" * min(len(word), 4) if word.isdecimal() else word[:_LONGEST]
        data = known.encode("utf-8", "surrogatepass")
        hashed = blake2b(data, key=self._key, digest_size=8, person=b"gram").digest()
        self[word[:_LONGEST]] = hashed
        return hashed


@lru_cache(maxsize=8)
def _hashes(key: bytes) -> _Hashes:
    return _Hashes(key)


def grams_of(words: tuple[str, ...], key: bytes, most: int) -> Grams:
    """The distinct hashed 1- and 2-grams of ``words``, ascending, at most ``most``.

    Where there are more, those nearest to either end of the text are kept: what is wanted is
    said at the beginning, and at the end.
    """
    if not words:
        return np.empty(0, np.uint16)
    if len(words) > 2 * most:
        words = words[:most] + words[-most:]
    hashes = np.frombuffer(b"".join(map(_hashes(key).__getitem__, words)), _LITTLE)
    pairs = (hashes[:-1] * _FIRST ^ hashes[1:] * _SECOND) * _FIRST
    return _distinct(np.concatenate((hashes, pairs)), len(words), most)


def _distinct(hashes: _Hashed, words: int, most: int) -> Grams:
    """Fold and sort ``hashes`` of so many words and their pairs; the outermost ``most`` stay."""
    hashes &= _FOLDED
    hashes |= _inwards(words)
    hashes.sort()
    folded = (hashes >> _FOLD).astype(np.uint16)
    new = np.empty(len(folded), np.bool_)
    new[0] = True
    np.not_equal(folded[1:], folded[:-1], out=new[1:])
    distinct: Grams = folded[new]
    if len(distinct) <= most:
        return distinct
    outer = hashes[new] & ~_FOLDED
    outermost: Grams = distinct[outer < np.partition(outer, most)[most]]
    return outermost


@lru_cache(maxsize=512)
def _inwards(words: int) -> _Hashed:
    """The rank, from both ends inwards, of each of so many words and of their pairs."""
    at = np.concatenate((np.arange(words), np.arange(words - 1) + 0.5))
    ranks = np.empty(len(at), np.uint64)
    ranks[np.argsort(np.minimum(at, words - 1 - at), kind="stable")] = np.arange(len(at))
    return ranks
