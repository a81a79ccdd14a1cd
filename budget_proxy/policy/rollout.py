"""Draws without a random generator: keyed hashes, so that every instance draws alike."""

from __future__ import annotations

from hashlib import blake2b

from budget_proxy.types import Arm

_RANGE = float(1 << 64)


def keyed_hash(salt: bytes, purpose: str, *parts: bytes) -> bytes:
    """16 bytes from an installation's salt, a purpose and parts (which cannot run together)."""
    digest = blake2b(key=salt, digest_size=16, person=purpose.encode()[:16])
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def pseudonym(salt: bytes, purpose: str, text: str) -> str:
    """A stable hexadecimal stand-in for an identifier that must not be stored."""
    return keyed_hash(salt, purpose, text.encode(errors="surrogatepass")).hex()


def draw(salt: bytes, purpose: str, identifier: str) -> float:
    """A number in [0, 1), the same on every instance that shares the salt."""
    return int.from_bytes(keyed_hash(salt, purpose, identifier.encode())[:8], "big") / _RANGE


def arm_of(salt: bytes, session: str, holdout: float) -> tuple[Arm, float]:
    """The session's arm, and the probability with which it got that arm (its propensity)."""
    if draw(salt, "arm", session) < holdout:
        return "holdout", holdout
    return "treatment", 1.0 - holdout
