"""Choosing between httpx and httpx2 by the client's own class."""

from __future__ import annotations

import subprocess
import sys

import httpx
import httpx2
import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.transport.family import family_of, joined
from budget_proxy.transport.sync import RelayStream


class _Derived(httpx.Client):
    """A user's own HTTP client."""


@pytest.mark.parametrize(
    ("thing", "family"),
    [
        (httpx.Client, httpx),
        (httpx.AsyncClient, httpx),
        (httpx2.Client, httpx2),
        (httpx2.AsyncClient, httpx2),
        (_Derived, httpx),
        (httpx2.Request("GET", "http://x"), httpx2),
        (httpx.Request("GET", "http://x"), httpx),
    ],
)
def test_the_family_is_that_of_the_class(thing: object, family: object) -> None:
    """Classes, their subclasses and their objects belong to the library that defines them."""
    assert family_of(thing) is family


def test_the_sdks_own_http_clients_have_a_family() -> None:
    """What the SDKs build by default is recognised through its base classes."""
    import anthropic
    import openai

    assert family_of(openai.OpenAI(api_key="k")._client) is httpx2
    assert family_of(anthropic.Anthropic(api_key="k")._client) is httpx2


def test_anything_else_is_refused() -> None:
    """An object of neither library is the caller's mistake, and named."""
    with pytest.raises(InvalidInput, match="dict is built neither on httpx nor on httpx2"):
        family_of({})


def test_a_joined_class_is_one_of_the_family_and_made_once() -> None:
    """The libraries accept streams of their own base class only; each gets its own."""
    assert issubclass(joined(RelayStream, httpx2), httpx2.SyncByteStream)
    assert issubclass(joined(RelayStream, httpx), httpx.SyncByteStream)
    assert joined(RelayStream, httpx) is joined(RelayStream, httpx)


def test_no_module_of_ours_imports_either() -> None:
    """The transports work with whichever library the client brings, so they import none."""
    program = (
        "import sys\n"
        "import budget_proxy.transport.wrap, budget_proxy.transport.swap\n"
        "print([name for name in ('httpx', 'httpx2', 'openai', 'anthropic') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
