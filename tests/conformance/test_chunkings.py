"""Streams cut anywhere, in every legal framing: both SDKs read through us what they read alone.

The streams are a real model's, recorded when the test starts, and ones written by hand for what
that model does not say. They reach the SDK's own client through a wrapped HTTP client, so that
the whole relay is on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy import Engine, wrap
from budget_proxy.local import MODEL, LocalModel
from tests.conformance.got import plain
from tests.doors import rows
from tests.providers import PATHS
from tests.wire_bodies import STREAMS

CHAT: Final = "openai.chat"
FRAMINGS: Final = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
OFTEN, SOMETIMES = 3_500, 150
"""Chunkings a dialect: three times the first is more than 10,000."""
TURNS: list[dict[str, Any]] = [{"role": "user", "content": "Say it in Greek: good morning."}]
USAGE: Final = {"include_usage": True}


@dataclass
class FarEnd:
    """An SDK's client before a stream that comes in pieces, with and without us."""

    alone: Any
    through: Any
    pieces: list[bytes] = field(default_factory=list)

    def read(self, client: Any, pieces: list[bytes], make: Callable[[Any], Any]) -> Any:
        """What the client makes of a stream that comes in these pieces."""
        self.pieces[:] = pieces
        return [plain(event) for event in make(client)]


@dataclass(frozen=True)
class Dialect:
    """How one dialect is asked for a stream, by the real model's body and by the SDK."""

    body: dict[str, Any]
    make: Callable[[Any, bool], Any]


DIALECTS: Final = {
    CHAT: Dialect(
        {"model": MODEL, "messages": TURNS, "max_tokens": 24, "stream_options": USAGE},
        lambda client, asked: client.chat.completions.create(
            model="m", messages=TURNS, stream=True, **({"stream_options": USAGE} if asked else {})
        ),
    ),
    "openai.responses": Dialect(
        {"model": MODEL, "input": "Say it in Greek: good morning.", "max_output_tokens": 24},
        lambda client, _: client.responses.create(model="m", input="hello", stream=True),
    ),
    "anthropic.messages": Dialect(
        {"model": MODEL, "messages": TURNS, "max_tokens": 24},
        lambda client, _: client.messages.create(
            model="m", messages=TURNS, max_tokens=100, stream=True
        ),
    ),
}


@pytest.fixture(scope="module")
def recorded(local_model: LocalModel) -> dict[str, list[bytes]]:
    """The streams of each dialect: the real model's, and the one written by hand."""
    streams = {api: [written] for api, written in STREAMS.items()}
    for api, dialect in DIALECTS.items():
        url = f"{local_model.base_url}{PATHS[api]}"
        answer = httpx2.post(url, json={**dialect.body, "stream": True}, timeout=60)
        assert answer.status_code == 200
        streams[api].append(answer.content.replace(b"\r\n", b"\n"))
    return streams


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """An engine that observes."""
    with Engine.open("memory:", mode="observe", holdout=0.0) as opened:
        yield opened


@pytest.fixture(scope="module", params=list(DIALECTS))
def far_end(request: pytest.FixtureRequest, engine: Engine) -> tuple[str, FarEnd]:
    """A dialect, and clients of its SDK."""
    pieces: list[bytes] = []

    class Stream(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield from list(pieces)

    def answer(_: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, stream=Stream())

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    kind: Any = anthropic.Anthropic if request.param.startswith("anthropic") else openai.OpenAI
    alone = kind(api_key="k", http_client=http)
    return request.param, FarEnd(alone, wrap(alone, engine=engine), pieces)


@st.composite
def chunkings(draw: st.DrawFn, length: int) -> list[int]:
    """Where a stream is cut: byte by byte, in even pieces, or anywhere."""
    step = draw(st.sampled_from([0, 0, 0, 1, 2, 7, 64]))
    if step:
        return [*range(0, length, step), length]
    cuts = sorted(set(draw(st.lists(st.integers(1, length - 1), max_size=40))))
    return [0, *cuts, length]


def _agrees(
    api: str, far_end: FarEnd, recorded: dict[str, list[bytes]], engine: Engine, data: st.DataObject
) -> None:
    whole = data.draw(st.sampled_from(recorded[api]))
    asked = api != CHAT or data.draw(st.booleans())
    eol = FRAMINGS[data.draw(st.sampled_from(sorted(FRAMINGS)))]
    stream, expected = (text.replace(b"\n", eol) for text in (whole, _for_caller(whole, asked)))
    bounds = data.draw(chunkings(len(stream)))
    pieces = [stream[a:b] for a, b in pairwise(bounds)]

    def make(client: Any) -> Any:
        return DIALECTS[api].make(client, asked)

    alone = far_end.read(far_end.alone, [expected], make)
    through = far_end.read(far_end.through, pieces, make)
    assert through == alone
    assert len(alone) > 2
    assert engine.faults == {}


def _for_caller(stream: bytes, asked: bool) -> bytes:
    """What a caller gets who did not ask for usage: the provider would not have sent it."""
    blocks = stream.split(b"\n\n")
    return b"\n\n".join(block for block in blocks if asked or b'"choices":[],' not in block)


@pytest.mark.local
@pytest.mark.xdist_group("local")
def test_a_stream_may_be_cut_anywhere(
    far_end: tuple[str, FarEnd], recorded: dict[str, list[bytes]], engine: Engine
) -> None:
    """However it comes, the SDK's own parser gives the same events, and no row is an estimate."""
    _try(SOMETIMES, far_end, recorded, engine)


@pytest.mark.slow
@pytest.mark.local
@pytest.mark.xdist_group("local")
def test_a_stream_may_be_cut_anywhere_ten_thousand_times(
    far_end: tuple[str, FarEnd], recorded: dict[str, list[bytes]], engine: Engine
) -> None:
    """The same, 3,500 times in each of the three dialects."""
    assert OFTEN * len(DIALECTS) >= 10_000
    _try(OFTEN, far_end, recorded, engine)


def _try(
    times: int,
    far_end: tuple[str, FarEnd],
    recorded: dict[str, list[bytes]],
    engine: Engine,
) -> None:
    api, clients = far_end
    before, tried = len(rows(engine)), 0

    @settings(max_examples=times, database=None)
    @given(data=st.data())
    def agrees(data: st.DataObject) -> None:
        nonlocal tried
        _agrees(api, clients, recorded, engine, data)
        tried += 1

    agrees()
    assert tried >= times
    written = rows(engine)[before:]
    assert len(written) == tried
    assert all(row.exact and row.output_tokens for row in written)
