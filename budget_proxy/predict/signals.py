"""What a call's messages and settings tell about its answer's length, as bytes without text.

Numbers (structure, cues of the wanted length and form, settings), keyed hashes that say "the
same again" (of the prompt, its template, the system prompt with its tools), and keyed hashes of
words. Nothing here can be read back as text, and without the installation's salt nothing can be
looked up. Left out: what came before in the session, which the learner keeps.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from budget_proxy.classify.scan import split
from budget_proxy.predict import asked, shape, structure
from budget_proxy.predict.grams import Grams, grams_of
from budget_proxy.predict.masked import tail, template
from budget_proxy.types import Call, Characteristics, Message, frozen

NUMBERS: Final[tuple[str, ...]] = (
    *structure.NAMES,
    *shape.NAMES,
    *asked.NAMES,
    "words",
    "distinct",
)
"""The names of the numeric signals, in order; all are finite and on a scale near 1."""

IDENTITIES: Final[tuple[str, ...]] = (
    "prompt", "template", "tail", "system", "opening", "observation",
)  # fmt: skip
"""The names of the hashed identities, in order.

``prompt`` is of the whole conversation, ``template`` and ``tail`` of the last message's ends
with what varies masked, ``system`` of the system prompt and the tools' names, ``opening`` of the
first user message, ``observation`` of the last message where that is not the opening.
"""

_VERSION: Final = 1
_HEAD: Final = struct.Struct(f"<BBI{len(IDENTITIES)}Q")
_CHECKED: Final = 6
_SIZE: Final = 600
_FIXED: Final = _HEAD.size + 2 * len(NUMBERS)
GRAMS: Final = min((_SIZE - _FIXED) // 2, 255)
"""How many hashed n-grams are kept at most."""

_WINDOW: Final = 2000
"""Characters read from each end of a text."""
_LARGEST: Final = 65_504.0


@frozen
class Signals:
    """Decoded: ``numbers`` by NUMBERS, ``identities`` by IDENTITIES (0 where there is none).

    ``grams`` are distinct and ascend.
    """

    numbers: npt.NDArray[np.float32]
    identities: tuple[int, ...]
    grams: Grams


def signals_of(call: Call, characteristics: Characteristics, salt: bytes) -> bytes:
    """Tell of a call what its messages and settings show, in at most 600 bytes.

    Deterministic given ``salt``, which keys every hash; no text can be had back.
    """
    key = salt[:64]
    messages = call.messages
    last = messages[-1] if messages else Message("user", "")
    users = [message for message in messages if message.role == "user"]
    seen = _ends(last.text)
    words = split(seen)
    numbers = [
        *structure.structure_of(call, characteristics),
        *shape.shape_of(seen),
        *_asked(words, _context(messages, last, users)),
        structure.log(len(words)),
        len(set(words)) / max(len(words), 1),
    ]
    return _encode(numbers, _identities(call, last, users, key), grams_of(words, key, GRAMS))


def decode(encoded: bytes) -> Signals | None:
    """The signals again; ``None`` for none, for another version's and for damaged ones."""
    if len(encoded) < _FIXED:
        return None
    version, count, check, *identities = _HEAD.unpack_from(encoded)
    if version != _VERSION or len(encoded) != _FIXED + 2 * count or check != _check(encoded):
        return None
    numbers = np.frombuffer(encoded, np.float16, len(NUMBERS), _HEAD.size).astype(np.float32)
    return Signals(numbers, tuple(identities), np.frombuffer(encoded, np.uint16, count, _FIXED))


def _encode(numbers: list[float], identities: Iterable[int], grams: Grams) -> bytes:
    values = np.array(numbers, np.float32).clip(-_LARGEST, _LARGEST).astype(np.float16)
    rest = values.tobytes() + grams.tobytes()
    head = _HEAD.pack(_VERSION, len(grams), 0, *identities)
    return _HEAD.pack(_VERSION, len(grams), _check(head + rest), *identities) + rest


def _check(encoded: bytes) -> int:
    """A checksum of all but the checksum itself."""
    return crc32(encoded[_CHECKED:], encoded[1])


def _ends(text: str) -> str:
    """A text's two ends, where it is long: what is wanted stands there."""
    if len(text) <= 2 * _WINDOW:
        return text
    return text[:_WINDOW] + "\n" + text[-_WINDOW:]


def _context(messages: tuple[Message, ...], last: Message, users: list[Message]) -> list[str]:
    """Other texts that say what is wanted: the system prompt, and what the user said last."""
    system = [message.text for message in messages[:1] if message.role == "system"]
    spoken = [users[-1].text] if users and users[-1] is not last else []
    return [_ends(text) for text in (*system, *spoken)]


def _asked(words: list[str], context: list[str]) -> list[float]:
    found = asked.asked_of(words)
    for text in context:
        found = [own + 0.5 * other for own, other in zip(found, _again(text), strict=True)]
    return found


@lru_cache(maxsize=64)
def _again(text: str) -> tuple[float, ...]:
    """The cues of a text that comes again with every call of a conversation."""
    return tuple(asked.asked_of(split(text)))


def _identities(call: Call, last: Message, users: list[Message], key: bytes) -> tuple[int, ...]:
    opening = users[0] if users else last
    system = call.system
    named = (system, *sorted(call.tools)) if system or call.tools else ()
    return (
        _hashed(key, b"prompt", *(f"{m.role}\0{m.text}" for m in call.messages)),
        _hashed(key, b"template", template(last.text)),
        _hashed(key, b"tail", tail(last.text)),
        _hashed(key, b"system", *named),
        _hashed(key, b"opening", opening.text),
        _hashed(key, b"observation", last.text) if last is not opening else 0,
    )


def _hashed(key: bytes, purpose: bytes, *texts: str) -> int:
    """64 bits of the texts; 0 where they say nothing."""
    if not any(texts):
        return 0
    data = "\0\0".join(texts).encode("utf-8", "surrogatepass")
    digest = blake2b(data, key=key, digest_size=8, person=purpose)
    return int.from_bytes(digest.digest(), "little") or 1
