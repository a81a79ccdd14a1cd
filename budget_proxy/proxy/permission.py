"""What a virtual key for some models may be used for: requests that name these models alone.

Asking (GET) costs nothing and is not held up, nor is the retrieval of an answer. All else has to
be JSON that names its model: a batch, a file or a form may stand for calls of any model. What was
checked is what is sent: the body is written anew, so that nobody reads another model out of it.
"""

from __future__ import annotations

from typing import Final

from budget_proxy.proxy.headers import Headers
from budget_proxy.store.keys import VirtualKey
from budget_proxy.transport.coding import MAX_BODY, unpacked, without_coding
from budget_proxy.transport.payload import decoded, encoded
from budget_proxy.wire.named import models_in
from budget_proxy.wire.retrieval import retrieval_of

_ASKING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Forbidden(Exception):
    """The key is not for this."""


def is_scoped(key: VirtualKey | None, method: str, path: str) -> bool:
    """Whether a request has to name its models."""
    return (
        key is not None
        and bool(key.models)
        and method not in _ASKING
        and retrieval_of(method, path) is None
    )


def permitted(
    key: VirtualKey, path: str, headers: Headers, content: bytes
) -> tuple[bytes, Headers]:
    """The body and headers as they are to be sent on. Raises Forbidden, TooLarge."""
    plain = unpacked(content, headers, MAX_BODY)
    body = None if plain is None else decoded(plain, exactly=True)
    if not isinstance(body, dict):
        raise Forbidden(_said(key, "a request whose body is no JSON object, so names no model"))
    names = models_in(path, body)
    if not names:
        raise Forbidden(_said(key, "a request of which no model can be told"))
    for name in names:
        if not key.takes(name):
            raise Forbidden(_said(key, f"the model {name[:100]!r}"))
    try:
        return encoded(body), without_coding(headers)
    except RecursionError:
        raise Forbidden(_said(key, "a request that is nested too deep")) from None


def _said(key: VirtualKey, what: str) -> str:
    return (
        f"budget-proxy: the key {key.id} is for the models {', '.join(key.models)}, not for {what}"
    )
