from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from budget_proxy.analytics.cases import Notice
from budget_proxy.analytics.delivery import LEASE, Format, delay, deliver, log
from budget_proxy.analytics.watcher import Watcher
from budget_proxy.analytics.webhook import Webhook, webhook_of
from budget_proxy.errors import ConfigError, StoreError
from budget_proxy.store.alerts import Alert, Change
from budget_proxy.store.memory import MemoryStore
from tests.makers import NOW
from tests.receiver import receiving
from tests.test_store_alerts import alert, save
from tests.watched import calls, cut, numbered


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """The time."""
        return self.now


def store_with(*changes: tuple[Change, Alert]) -> MemoryStore:
    """A history in which this has become of alerts."""
    store = MemoryStore()
    save(store, *changes)
    return store


def test_a_webhook_is_sent_the_alert_with_an_id_to_know_it_again() -> None:
    """The JSON has id, change, time and the alert; the id is a header, too."""
    store = store_with(("raised", alert(text="<Über>")))
    with receiving() as receiver:
        post = Webhook(receiver.url, "s3cret").post
        assert deliver(store, post, "generic", Clock()) == (1, 0)
        assert deliver(store, post, "generic", Clock()) == (0, 0)
    ((headers, body),) = receiver.got
    assert receiver.path == "/hooks/T0?x=1"
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["idempotency-key"] == body["id"] == f"{store.meta('installation', '')}-1"
    assert (body["change"], body["alert"]["id"], body["alert"]["text"]) == ("raised", 1, "<Über>")
    assert body["alert"]["figures"]["symptoms"] == {"coverage": {"calls": 2}}


def test_slack_is_sent_a_text_and_its_own_signs_are_escaped() -> None:
    """A text for notifications and one section block; names cannot make mentions or links."""
    store = store_with(("raised", alert(agent="<!here>", severity="critical", text="a & b")))
    with receiving() as receiver:
        deliver(store, Webhook(receiver.url).post, "slack", Clock())
    ((headers, body),) = receiver.got
    assert "authorization" not in headers
    assert set(body) == {"text", "blocks"}
    assert body["text"].startswith(":rotating_light: *longer* raised: &lt;!here&gt; / m (#1)")
    assert "a &amp; b" in body["text"]
    assert body["blocks"][0]["text"] == {"type": "mrkdwn", "text": body["text"]}


def test_what_was_not_taken_is_sent_again_later_with_the_same_id() -> None:
    """After 5 seconds, then 10; never before, and not once it was taken."""
    store, clock = store_with(("raised", alert())), Clock()
    with receiving(500, 429) as receiver:
        post = Webhook(receiver.url).post
        outcomes = []
        for now in (0, 4, 5, 14, 15, 100):
            clock.now = NOW + now
            outcomes.append(deliver(store, post, "generic", clock))
    assert outcomes == [(0, 1), (0, 0), (0, 1), (0, 0), (1, 0), (0, 0)]
    assert len({body["id"] for _, body in receiver.got}) == 1
    assert len(receiver.got) == 3


def test_a_receiver_that_is_not_there_costs_nothing_but_another_try(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The failure is logged without the URL, which may be a secret."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    store = store_with(("raised", alert()))
    post = Webhook(f"http://127.0.0.1:{port}/T0/B0/secret", "s3cret").post
    assert deliver(store, post, "generic", Clock()) == (0, 1)
    assert "did not take alert #1 (try 1)" in caplog.text
    assert "secret" not in caplog.text
    assert "s3cret" not in caplog.text


def test_a_process_that_dies_while_delivering_leaves_the_event_to_others() -> None:
    """At least once: when its lease is over another one sends it, under the same id."""
    store, clock = store_with(("raised", alert())), Clock()

    def dies(*_: object) -> str | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(store, dies, "generic", clock)
    with receiving() as receiver:
        post = Webhook(receiver.url).post
        assert deliver(store, post, "generic", clock) == (0, 0)
        clock.now += LEASE
        assert deliver(store, post, "generic", clock) == (1, 0)
    assert receiver.got[0][1]["id"].endswith("-1")


def test_several_processes_send_each_event_once() -> None:
    """Threads that deliver at once share the events between them."""
    store = store_with(*(("raised", alert(number)) for number in range(1, 61)))
    with receiving() as receiver:
        post = Webhook(receiver.url).post

        def work() -> None:
            while deliver(store, post, "generic", Clock()) != (0, 0):
                pass

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(body["alert"]["id"] for _, body in receiver.got) == list(range(1, 61))


def test_waits_grow_to_a_quarter_of_an_hour() -> None:
    """5, 10, 20 seconds ... and never more than 900."""
    assert [delay(tries) for tries in (1, 2, 3, 8, 9, 500)] == [5, 10, 20, 640, 900, 900]


def test_the_log_has_what_people_are_to_be_told(caplog: pytest.LogCaptureFixture) -> None:
    """With a level by severity; updates are not logged, an end is information."""
    caplog.set_level(logging.INFO, "budget_proxy.alerts")
    log([
        Notice("raised", alert(1, severity="critical")),
        Notice("updated", alert(1)),
        Notice("resolved", alert(2)),
    ])  # fmt: skip
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "alert #1 raised: Über"), ("INFO", "alert #2 resolved: Über"),
    ]  # fmt: skip


@pytest.mark.parametrize("url", ["", "hooks.example", "ftp://host/x", "http://", "http://h:99999/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Before anything is sent, and without repeating it."""
    with pytest.raises(ConfigError, match=r"alerts\.webhook"):
        Webhook(url)


def test_no_url_is_no_webhook() -> None:
    """Without the setting nothing is posted."""
    assert webhook_of(None, SecretStr("s")) is None


@pytest.fixture
def watching() -> Iterator[Callable[..., Watcher]]:
    """Makes watchers, which are closed in the end."""
    made: list[Watcher] = []

    def make(store: MemoryStore, url: str | None = None, form: Format = "generic") -> Watcher:
        post = None if url is None else Webhook(url).post
        watcher = Watcher(store, on_fault=faults.append_of, post=post, form=form, every=0.02)
        made.append(watcher)
        return watcher

    yield make
    for watcher in made:
        watcher.close()


class Faults(list[tuple[str, Exception]]):
    """What went wrong."""

    def append_of(self, stage: str, error: Exception) -> None:
        """Note it."""
        self.append((stage, error))


faults = Faults()


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; a test that waits for ten seconds fails."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_watcher_finds_and_sends_alerts_while_calls_come_in(
    watching: Callable[..., Watcher],
) -> None:
    """From rows in the history to the webhook, without anybody asking."""
    store = MemoryStore()
    with receiving() as receiver:
        watcher = watching(store, receiver.url)
        watcher.start()
        store.append(numbered(calls(600), cut(calls(200, seed=1), 0.2)))
        wait_for(lambda: bool(receiver.got))
        watcher.close()
    assert receiver.got[0][1]["alert"]["cause"] == "truncation"
    assert [one.cause for one in store.alerts()] == ["truncation"]


def test_a_watcher_outlives_a_store_that_fails(
    watching: Callable[..., Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault is reported; at the next look it goes on."""
    store = MemoryStore()
    store.append(numbered(calls(600), cut(calls(200, seed=1), 0.2)))
    watcher = watching(store)
    faults.clear()

    def broken() -> None:
        raise StoreError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(store, "watched", broken)
        watcher.start()
        wait_for(lambda: bool(faults))
    wait_for(lambda: bool(store.alerts()))
    assert faults[0][0] == "alerts"
