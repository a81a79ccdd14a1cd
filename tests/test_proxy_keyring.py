"""Who is let in, without HTTP: what is asked of the history, and what decides."""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from budget_proxy.errors import StoreError
from budget_proxy.proxy import keyring as module
from budget_proxy.proxy.keyring import Keyring, Unauthorised
from budget_proxy.store import issuing, keys
from budget_proxy.store.keys import Kept
from budget_proxy.store.memory import MemoryStore
from tests.makers import NOW

LOCAL = "127.0.0.1"
MADE_UP = "bk_" + "0" * 16 + "_" + "0" * 64


class Counted(MemoryStore):
    """A history that counts how often it is asked for keys, on which threads, and may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.broken = False

    def keys_since(self, after: int = 0) -> list[Kept]:
        """As it is."""
        self.asked.append(threading.current_thread().name)
        if self.broken:
            raise StoreError("the disk is gone")
        return super().keys_since(after)


def ring(store: MemoryStore, now: Callable[[], float] = lambda: NOW) -> Keyring:
    """A keyring that nobody has started; faults of the history are the test's."""
    return Keyring(store, now=now, on_fault=lambda _, error: pytest.fail(str(error)))


@contextmanager
def started(keyring: Keyring) -> Iterator[Keyring]:
    """A keyring that follows its history."""
    keyring.start()
    try:
        yield keyring
    finally:
        keyring.close()


def bearer(token: str) -> list[tuple[str, str]]:
    """Headers as OpenAI's clients send them."""
    return [("authorization", f"Bearer {token}")]


async def refused(keyring: Keyring, headers: list[tuple[str, str]]) -> str:
    """Why somebody is not let in."""
    with pytest.raises(Unauthorised) as error:
        await keyring.admit(headers, LOCAL)
    return str(error.value)


async def until(done: Callable[[], bool], within: float = 10.0) -> None:
    """Wait for something."""
    deadline = time.monotonic() + within
    while not done():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_good_key_costs_no_look_at_the_history() -> None:
    """A thousand calls, and the history was asked once: when the keyring was made."""
    store = Counted()
    token = issuing.create(store, "Ann", NOW).secret
    keyring = ring(store)
    for _ in range(1_000):
        found = await keyring.admit(bearer(token), LOCAL)
        assert found is not None
        assert found.name == "Ann"
    assert len(store.asked) == 1


async def test_without_keys_nobody_is_asked_for_one() -> None:
    """A caller's own key is none of ours, nor is no key at all."""
    store = Counted()
    keyring = ring(store)
    assert not keyring.required
    for headers in ([], bearer("sk-own"), [("x-api-key", "sk-a"), ("authorization", "Basic eA==")]):
        assert await keyring.admit(headers, LOCAL) is None
    assert len(store.asked) == 1


@pytest.mark.parametrize("address", ["192.168.1.5", "0.0.0.0", "fd00::1", "10.0.0.1"])  # noqa: S104 (asked about)
async def test_without_keys_nobody_elsewhere_is_let_in(address: str) -> None:
    """Whatever started the server: a worker whose history could not be written, or another's."""
    store = Counted()
    keyring = ring(store)
    with pytest.raises(Unauthorised, match="this machine alone: make one"):
        await keyring.admit(bearer("sk-own"), address)
    for here in ("127.0.0.1", "::1", None, "/run/proxy.sock", "localhost"):
        assert await keyring.admit(bearer("sk-own"), here) is None
    token = issuing.create(store, "Ann", NOW).secret
    assert await keyring.admit(bearer(token), address) is not None


async def test_a_virtual_key_is_never_taken_for_a_providers() -> None:
    """Also where there are none (any more): it would be sent to the provider."""
    keyring = ring(Counted())
    for text in (MADE_UP, "bk_", "bk_of-another-proxy"):
        assert "does not know this virtual key" in await refused(keyring, bearer(text))


async def test_unknown_wrong_expired_and_revoked_are_refused_alike() -> None:
    """The same words, after the same steps: nobody learns which ids there are."""
    store = Counted()
    clock = [NOW]
    short = issuing.create(store, "short", NOW, seconds=5.0).secret
    gone = issuing.create(store, "gone", NOW)
    issuing.revoke(store, gone.key.id, NOW)
    keyring = ring(store, lambda: clock[0])
    assert await keyring.admit(bearer(short), LOCAL) is not None
    clock[0] += 6
    said, asked = [], []
    for token in (short, gone.secret, short[:-1] + "x", short[:20] + "0" * 64, MADE_UP, "bk_?"):
        before = len(store.asked)
        said.append(await refused(keyring, bearer(token)))
        asked.append(len(store.asked) - before)
    assert len(set(said)) == 1
    assert asked == [1] * 6


async def test_the_same_is_compared_for_every_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two digests, before and after the history was asked, whether or not the id is known."""
    store = Counted()
    issued = issuing.create(store, "Ann", NOW)
    keyring = ring(store)
    compared: list[int] = []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(keys, "compare_digest", watched)
    for token in (issued.key.id + "_" + "0" * 64, MADE_UP, "bk_nothing-like-a-key"):
        compared.clear()
        await refused(keyring, bearer(token))
        assert compared == [32] * 4


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([], "needs a virtual key"),
        (bearer("sk-own"), "needs a virtual key"),
        ([("authorization", "Basic KEY")], "needs a virtual key"),
        ([("authorization", "KEY")], "needs a virtual key"),
        ([("authorization", "Bearer")], "needs a virtual key"),
        ([("authorization", "Bearer KEY KEY")], "needs a virtual key"),
        ([("authorization", "Bearer KEY,KEY")], "does not know"),
        ([("x-api-key", "")], "needs a virtual key"),
        ([("x-api-key", "Bearer KEY")], "needs a virtual key"),
        ([("x-api-key", "KEY\u00e9")], "does not know"),
        ([("api-key", "KEY" * 50_000)], "does not know"),
        ([("x-goog-api-key", "KEY")], "needs a virtual key"),
        ([("x-budget-key", "KEY")], "needs a virtual key"),
        ([*bearer("KEY"), ("x-api-key", "sk-own")], "several API keys that differ"),
        ([*bearer("KEY"), *bearer("sk-own")], "several API keys that differ"),
        ([*bearer("KEY"), ("api-key", MADE_UP)], "several API keys that differ"),
        ([*bearer("KEY"), ("authorization", "Basic eA==")], "several API keys that differ"),
        ([*bearer("KEY"), ("x-api-key", "")], "several API keys that differ"),
    ],
)
async def test_what_is_odd_is_refused(headers: list[tuple[str, str]], said: str) -> None:
    """Other schemes, other headers, keys with something about them, and two that disagree."""
    store = Counted()
    token = issuing.create(store, "Ann", NOW).secret
    given = [(name, text.replace("KEY", token)) for name, text in headers]
    refusal = await refused(ring(store), given)
    assert said in refusal
    assert token[20:] not in refusal


@pytest.mark.parametrize(
    "headers",
    [
        [("authorization", "Bearer KEY")], [("authorization", "bearer  KEY ")],
        [("authorization", "BEARER KEY")], [("x-api-key", "KEY")], [("api-key", " KEY")],
        [("authorization", "Bearer KEY"), ("x-api-key", "KEY"), ("api-key", "KEY")],
    ],
)  # fmt: skip
async def test_a_key_is_read_wherever_clients_put_it(headers: list[tuple[str, str]]) -> None:
    """In any of the three headers, or in several alike."""
    store = Counted()
    token = issuing.create(store, "Ann", NOW).secret
    given = [(name, text.replace("KEY", token)) for name, text in headers]
    found = await ring(store).admit(given, LOCAL)
    assert found is not None
    assert found.id == token[:19]


async def test_what_another_process_made_is_known_at_its_first_call() -> None:
    """A new key, and a new secret; before anybody has looked what changed."""
    store = Counted()
    issuing.create(store, "first", NOW)
    keyring = ring(store)
    issued = issuing.create(store, "second", NOW)
    assert await keyring.admit(bearer(issued.secret), LOCAL) is not None
    again = issuing.rotate(store, issued.key.id, NOW)
    assert await keyring.admit(bearer(again.secret), LOCAL) is not None
    assert "does not know" in await refused(keyring, bearer(issued.secret))


async def test_made_up_keys_do_not_keep_the_history_busy() -> None:
    """Three hundred at once, then thirty one by one: ten looks a second, off the event loop."""
    store = Counted()
    good = issuing.create(store, "Ann", NOW).secret
    keyring = ring(store)
    began = time.monotonic()
    await asyncio.gather(*(refused(keyring, bearer(f"bk_{n}")) for n in range(300)))
    assert len(store.asked) <= 1 + 2  # one may have begun before the last of them came
    for number in range(10):
        await refused(keyring, bearer(f"bk_{number}"))
        assert await keyring.admit(bearer(good), LOCAL) is not None
    looks = len(store.asked) - 1
    assert looks <= (time.monotonic() - began) / module.APART + 1
    loop = threading.current_thread().name
    assert loop not in store.asked[1:]


async def test_good_keys_do_not_wait_for_a_history_that_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While somebody's made-up key waits for the disk, others go on; the loop stays free."""
    store = Counted()
    good = issuing.create(store, "Ann", NOW).secret
    keyring = ring(store)
    gate = threading.Event()
    asked = store.keys_since

    def slow(after: int = 0) -> list[Kept]:
        assert gate.wait(10)
        return asked(after)

    monkeypatch.setattr(store, "keys_since", slow)
    waiting = asyncio.ensure_future(refused(keyring, bearer(MADE_UP)))
    for _ in range(20):
        await asyncio.sleep(0.01)
        assert await keyring.admit(bearer(good), LOCAL) is not None
    assert not waiting.done()
    gate.set()
    assert "does not know" in await waiting


async def test_who_waits_and_leaves_does_not_take_the_others_along() -> None:
    """One of those who share a look is cancelled; the rest get their answer."""
    store = Counted()
    issuing.create(store, "Ann", NOW)
    keyring = ring(store)
    await refused(keyring, bearer(MADE_UP))  # the next look has to wait
    late = issuing.create(store, "late", NOW).secret
    leaving = asyncio.ensure_future(keyring.admit(bearer(MADE_UP), LOCAL))
    staying = asyncio.ensure_future(keyring.admit(bearer(late), LOCAL))
    await asyncio.sleep(0)
    leaving.cancel()
    found = await staying
    assert found is not None
    assert found.name == "late"
    assert leaving.cancelled()


async def test_what_changes_is_followed() -> None:
    """Revoked, and the first key made: within a second or so, with nobody asking."""
    store = Counted()
    with started(ring(store)) as keyring:
        issued = issuing.create(store, "Ann", NOW)
        await until(lambda: keyring.required, within=3.0)
        assert await keyring.admit(bearer(issued.secret), LOCAL) is not None
        assert "needs a virtual key" in await refused(keyring, bearer("sk-own"))
        issuing.revoke(store, issued.key.id, NOW)

        async def out() -> bool:
            try:
                await keyring.admit(bearer(issued.secret), LOCAL)
            except Unauthorised:
                return True
            return False

        deadline = time.monotonic() + 3.0
        while not await out():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
    assert keyring.required  # the last key is gone, and nobody is let in without


async def test_the_first_key_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Once, in the log of whoever runs the proxy."""
    store = Counted()
    keyring = ring(store)
    for name in "ab":
        issuing.create(store, name, NOW)
        keyring.look()
    keyring.look()
    assert [record.getMessage() for record in caplog.records] == [
        "the first virtual key was made: every request needs one from now on"
    ]


async def test_a_history_that_fails_lets_the_known_in_and_no_others() -> None:
    """Faults are counted; what was known goes on to hold, and nothing opens."""
    store = Counted()
    good = issuing.create(store, "Ann", NOW).secret
    faults: list[Any] = []
    keyring = Keyring(store, now=lambda: NOW, on_fault=lambda *fault: faults.append(fault))
    late = issuing.create(store, "late", NOW).secret
    store.broken = True
    assert await keyring.admit(bearer(good), LOCAL) is not None
    assert faults == []
    assert "does not know" in await refused(keyring, bearer(late))
    assert [(stage, str(error)) for stage, error in faults] == [("keys", "the disk is gone")]
    store.broken = False
    assert await keyring.admit(bearer(late), LOCAL) is not None


def test_a_history_that_cannot_be_read_at_the_start_is_an_error() -> None:
    """Nobody would know whether keys are needed."""
    store = Counted()
    store.broken = True
    with pytest.raises(StoreError, match="the disk is gone"):
        ring(store)
