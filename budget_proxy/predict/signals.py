"""What a call's messages and settings tell about its answer's length, as bytes without text.

Numbers (structure, cues of the wanted length and form, settings), keyed hashes that say "the
same again" (of the prompt, its template, the system prompt with its tools), and keyed hashes of
words. Nothing here can be read back as text, and without the installation's salt nothing can be
looked up. Left out: what came before in the session, which the learner keeps.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from hashlib import blake2b
from itertools import takewhile
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from budget_proxy.classify.scan import Words, split
from budget_proxy.predict import asked, shape, structure, wording
from budget_proxy.predict.grams import Grams, grams_of
from budget_proxy.predict.masked import tail, template
from budget_proxy.types import Call, Characteristics, Message, frozen

NUMBERS: Final[tuple[str, ...]] = (
    *structure.NAMES, *shape.NAMES, *wording.NAMES, *asked.NAMES,
)  # fmt: skip
"""The names of the numeric signals, in order; all are finite and on a scale near 1."""

IDENTITIES: Final[tuple[str, ...]] = (
    "prompt", "template", "tail", "system", "opening", "observation",
)  # fmt: skip
"""The names of the hashed identities, in order.

``prompt`` is of the whole conversation, ``template`` and ``tail`` of the last message's ends
with what varies masked, ``system`` of the system prompt and the tools' names, ``opening`` of the
first user message, ``observation`` of the last message where that is not the opening.
"""

_VERSION: Final = 4
"""Counts up with every change of what a name or a number means: old rows are then left aside."""
_HEAD: Final = struct.Struct("<BBI")
"""Version, number of n-grams, and a checksum of all but the version."""
_BODY: Final = struct.Struct(f"<{len(IDENTITIES)}Q{len(NUMBERS)}e")
_IDENTITIES: Final = struct.Struct(f"<{len(IDENTITIES)}Q")
_AT_NUMBERS: Final = _HEAD.size + _IDENTITIES.size
_AT_GRAMS: Final = _HEAD.size + _BODY.size
GRAMS: Final = 176
"""How many hashed n-grams are kept at most."""

_SPOKEN: Final = (2000, 2000)
_OBSERVED: Final = (400, 2000)
"""Characters read of a text's head and tail; what a tool gave back tells most at its end."""
_KEPT: Final = 20_000
"""Characters of a system prompt whose hash is kept until the next call."""
_ELSEWHERE: Final = 0.5
"""What a wish in the system prompt counts, or in the user's request before a tool's result."""


@frozen
class Signals:
    """Decoded: ``numbers`` by NUMBERS, ``identities`` by IDENTITIES (0 where there is none).

    ``grams`` are distinct and ascend.
    """

    numbers: npt.NDArray[np.float32]
    identities: tuple[int, ...]
    grams: Grams


def signals_of(call: Call, characteristics: Characteristics, salt: bytes) -> bytes:
    """Tell of a call what its messages and settings show, in less than 600 bytes.

    Deterministic given ``salt``, which keys every hash; no text can be had back.
    """
    key = salt[:64]
    messages = call.messages
    last = messages[-1] if messages else Message("user", "")
    users = [message for message in messages if message.role == "user"]
    system = _prompt(messages)
    seen = _ends(last.text, _OBSERVED if last.role == "tool" else _SPOKEN)
    words = split(seen)
    numbers = [
        *structure.structure_of(call, characteristics),
        *shape.shape_of(seen),
        *wording.wording_of(words),
        *_asked(words, [*system, *(user.text for user in users[-1:] if user is not last)]),
    ]
    identities = _identities(call, "\n".join(system), last, users[0] if users else last, key)
    return _encode(numbers, identities, grams_of(words.order, key, GRAMS))


@lru_cache(maxsize=256)
def decode(encoded: bytes) -> Signals | None:
    """The signals again; ``None`` for none, for another version's and for damaged ones.

    Those of calls under way are kept: they are asked for again with the outcome.
    """
    if len(encoded) < _AT_GRAMS:
        return None
    version, count, check = _HEAD.unpack_from(encoded)
    if version != _VERSION or check != crc32(encoded[_HEAD.size :], count):
        return None
    return Signals(
        np.frombuffer(encoded, np.float16, len(NUMBERS), _AT_NUMBERS).astype(np.float32),
        _IDENTITIES.unpack_from(encoded, _HEAD.size),
        np.frombuffer(encoded, np.uint16, count, _AT_GRAMS),
    )


def _encode(numbers: list[float], identities: tuple[int, ...], grams: Grams) -> bytes:
    body = _BODY.pack(*identities, *numbers) + grams.tobytes()
    return _HEAD.pack(_VERSION, len(grams), crc32(body, len(grams))) + body


def _ends(text: str, window: tuple[int, int] = _SPOKEN) -> str:
    """A text's two ends, where it is long: what is wanted stands there."""
    head, end = window
    return text if len(text) <= head + end else text[:head] + "\n" + text[-end:]


def _prompt(messages: tuple[Message, ...]) -> list[str]:
    """The system prompt; what the system says later would change it midway."""
    return [message.text for message in takewhile(lambda m: m.role == "system", messages)]


def _asked(words: Words, others: list[str]) -> list[float]:
    """The cues of the last message, and the wishes that stand in other texts."""
    found = asked.asked_of(words)
    for text in filter(None, others):
        for at, wish in _wishes(_ends(text)):
            found[at] += _ELSEWHERE * wish
    return found


@lru_cache(maxsize=64)
def _wishes(text: str) -> tuple[tuple[int, float], ...]:
    """The wishes, by place, in a text that comes again with every call of a conversation."""
    wishes = asked.asked_of(split(text))[: len(asked.WISHES)]
    return tuple((at, wish) for at, wish in enumerate(wishes) if wish)


def _identities(
    call: Call, system: str, last: Message, opening: Message, key: bytes
) -> tuple[int, ...]:
    shown = call.fingerprint.hex() if call.images else ""
    named = (system, *sorted(call.tools)) if system or call.tools else ()
    return (
        _hashed(key, b"prompt", shown, *(f"{m.role}\0{m.text}" for m in call.messages)),
        _hashed(key, b"template", template(last.text)),
        _hashed(key, b"tail", tail(last.text)),
        (_same_again if len(system) <= _KEPT else _hashed)(key, b"system", *named),
        _hashed(key, b"opening", opening.text),
        _hashed(key, b"observation", last.text) if last is not opening else 0,
    )


def _hashed(key: bytes, purpose: bytes, *texts: str) -> int:
    """64 bits of the texts; 0 where they say nothing."""
    if not any(texts):
        return 0
    digest = _begun(key, purpose).copy()
    digest.update("\0\0".join(texts).encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest(), "little") or 1


@lru_cache(maxsize=64)
def _begun(key: bytes, purpose: bytes) -> blake2b:
    """What all hashes of one purpose begin with: it takes longer than to hash a line."""
    return blake2b(key=key, digest_size=8, person=purpose)


_same_again: Final = lru_cache(maxsize=64)(_hashed)
"""The same of texts that come again with every call of an agent."""
