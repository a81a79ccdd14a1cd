"""Virtual keys, and what every store does alike with them (OPENERS of test_store_contract)."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.errors import InvalidInput, StoreError
from budget_proxy.store import issuing, keys
from budget_proxy.store.base import Store
from budget_proxy.store.keying import m011_keys
from budget_proxy.store.keys import STRANGER, Kept, VirtualKey, make, parts_of, token_of
from budget_proxy.store.sqlite import SQLiteStore
from tests.makers import NOW
from tests.test_store_contract import OPENERS

DAY = 86_400.0


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def made(**given: Any) -> tuple[Kept, str]:
    """A key of Ann's, and its secret."""
    return make(**{"name": "Ann", "now": NOW, **given})


def opened_by(store: Store, token: str, now: float = NOW) -> bool:
    """Whether a store's key takes what a caller sends."""
    id_, secret = parts_of(token)
    (kept,) = (kept for kept in store.keys_since() if kept.key.id == id_)
    return kept.admits(secret, now)


# -- one key ------------------------------------------------------------------------------------


def test_a_key_takes_its_own_secret_alone() -> None:
    """Not one that differs in a digit, nor another key's, nor none."""
    kept, secret = made()
    assert kept.admits(secret, NOW)
    changed = ("1" if secret[0] == "0" else "0") + secret[1:]
    for other in (changed, secret[:-1], secret.upper() + "x", made()[1], ""):
        assert not kept.admits(other, NOW)
    assert not STRANGER.admits(secret, NOW)
    assert not STRANGER.admits("", NOW)


def test_secrets_have_256_bits_and_none_comes_twice() -> None:
    """As ids and salts: nothing of one key tells of another."""
    many = [made() for _ in range(200)]
    assert {len(bytes.fromhex(secret)) for _, secret in many} == {32}
    assert len({secret for _, secret in many}) == 200
    assert len({kept.key.id for kept, _ in many}) == 200
    assert len({kept.lock.salt for kept, _ in many}) == 200


def test_a_key_ends_when_it_expires_and_when_it_is_revoked() -> None:
    """To the second; revoked is revoked for good, and since the first time."""
    kept, secret = made(seconds=60.0)
    assert [kept.admits(secret, NOW + s) for s in (59.9, 60.0)] == [True, False]
    ended = kept.revoked(NOW + 1)
    assert not ended.admits(secret, NOW + 2)
    assert ended.revoked(NOW + 9).key.revoked == NOW + 1
    states = [kept.key.state(NOW), kept.key.state(NOW + 60), ended.key.state(NOW + 60)]
    assert states == ["active", "expired", "revoked"]


def test_a_new_secret_ends_the_one_before_at_once_or_after_its_grace() -> None:
    """Of three, the first ends when the third is made, whatever grace it had."""
    kept, first = made()
    second, third = keys.new_secret(), keys.new_secret()
    at_once = kept.rotated(second, NOW)
    assert [at_once.admits(secret, NOW) for secret in (first, second)] == [False, True]
    graced = kept.rotated(second, NOW, grace=10.0)
    assert [graced.admits(first, NOW + s) for s in (0, 9.9, 10)] == [True, True, False]
    assert graced.admits(second, NOW + 10)
    again = graced.rotated(third, NOW + 1, grace=10.0)
    assert [again.admits(secret, NOW + 2) for secret in (first, second, third)] == [
        False, True, True,
    ]  # fmt: skip
    assert not graced.revoked(NOW + 1).admits(first, NOW + 2)


@pytest.mark.parametrize("end", ["expired", "revoked"])
def test_what_is_over_gets_no_new_secret(end: str) -> None:
    """Rotating brings no key back to life."""
    kept, _ = made(seconds=1.0)
    kept = kept.revoked(NOW) if end == "revoked" else kept
    with pytest.raises(InvalidInput, match=f"is {end}: make a new one"):
        kept.rotated(keys.new_secret(), NOW + 2)


def test_models_are_patterns_and_roles_are_steps() -> None:
    """None named: every model. Small letters and capitals are not the same."""
    key = made(models=("gpt-5*", "claude-?-x", " gpt-5* "))[0].key
    assert key.models == ("gpt-5*", "claude-?-x")
    assert [key.takes(name) for name in ("gpt-5", "gpt-5.4-mini", "claude-5-x")] == [True] * 3
    assert not any(map(key.takes, ("gpt-4", "GPT-5", "", "x-gpt-5", "claude-55-x")))
    assert made()[0].key.takes("anything")
    may = {role: made(role=role)[0].key for role in keys.ROLES}
    assert [may["approver"].may(role) for role in keys.ROLES] == [True, True, False]
    assert [may["caller"].may(role) for role in keys.ROLES] == [True, False, False]
    assert all(may["admin"].may(role) for role in keys.ROLES)


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""}, {"name": "  "}, {"name": "a\nb"}, {"name": "a\x00"}, {"name": "\x1b[31m"},
        {"name": "a\u202eb"}, {"name": "x" * 101}, {"name": "\ud800"}, {"role": "king"},
        {"models": ("",)}, {"models": ("a\tb",)}, {"models": ("x" * 201,)},
        {"models": tuple(f"m{n}" for n in range(101))}, {"seconds": 0.0}, {"seconds": -1.0},
        {"seconds": 3651 * DAY}, {"seconds": float("nan")}, {"seconds": float("inf")},
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_shown_or_held_is_not_made(given: dict[str, Any]) -> None:
    """Control characters, what is invisible or endless, and times that are no times."""
    with pytest.raises(InvalidInput):
        made(**given)


@pytest.mark.parametrize("grace", [-1.0, 31 * DAY, float("nan"), float("inf")])
def test_a_grace_that_is_none_is_refused(grace: float) -> None:
    """At most 30 days."""
    with pytest.raises(InvalidInput, match="30 days"):
        made()[0].rotated(keys.new_secret(), NOW, grace=grace)


def test_only_whole_keys_are_read_as_such() -> None:
    """What is no key has an id and a secret that nobody has, however long it is."""
    kept, secret = made()
    token = token_of(kept.key.id, secret)
    assert parts_of(token) == (kept.key.id, secret)
    for other in (
        token[:-1], token + "0", token.upper(), f" {token}", f"{token}\n", "bk_", "", "sk-123",
        token.replace("_", "-"), "bk_" + "0" * 10_000_000,
        token[:-1] + "\N{ARABIC-INDIC DIGIT ONE}",
    ):  # fmt: skip
        assert parts_of(other) == ("", "")


def test_compare_digest_alone_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is what counts, for right and for wrong secrets, now and in a grace."""
    kept, secret = made()
    graced = kept.rotated(keys.new_secret(), NOW, grace=9.0)
    monkeypatch.setattr(keys, "compare_digest", lambda *_: False)
    assert not kept.admits(secret, NOW)
    assert not graced.admits(secret, NOW)
    monkeypatch.setattr(keys, "compare_digest", lambda *_: True)
    assert kept.admits("wrong", NOW)
    assert not kept.revoked(NOW).admits(secret, NOW)


def test_the_same_is_compared_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right, wrong, replaced, over or of nobody: as many comparisons, of as many bytes."""
    compared: list[tuple[int, int]] = []

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(keys, "compare_digest", watched)
    kept, secret = made(seconds=5.0)
    graced = kept.rotated(keys.new_secret(), NOW, grace=9.0)
    for lock, given in (
        (kept, secret), (kept, "0" * 64), (kept, ""), (graced, secret), (graced, "0" * 64),
        (kept.revoked(NOW), secret), (STRANGER, secret), (STRANGER, ""),
    ):  # fmt: skip
        compared.clear()
        lock.admits(given, NOW)
        assert compared == [(32, 32), (32, 32)]
    compared.clear()
    kept.admits(secret, NOW + 6)  # expired
    assert compared == [(32, 32), (32, 32)]


def test_no_secret_and_no_digest_shows(store: Store) -> None:
    """Neither in what is printed of a key nor in what is listed."""
    issued = issuing.create(store, "Ann", NOW)
    (kept,) = store.keys_since()
    secret = parts_of(issued.secret)[1]
    for text in (repr(kept), repr(issuing.listing(store, "url", NOW))):
        assert secret not in text
        assert kept.lock.digest.hex() not in text
        assert repr(kept.lock.digest) not in text


# -- stores -------------------------------------------------------------------------------------


def test_every_field_of_a_key_comes_back(store: Store) -> None:
    """As it was put in, whichever were given."""
    full, _ = made(role="admin", models=("gpt-5*", 'ü "q"'), seconds=DAY)
    full = full.rotated(keys.new_secret(), NOW + 1, grace=5.0)
    full = replace(full, key=replace(full.key, revoked=NOW + 2))
    for field in fields(VirtualKey):
        default = getattr(VirtualKey("", "", 0.0), field.name)
        assert getattr(full.key, field.name) != default, f"give {field.name} in full"
    plain, _ = made(name="Bob")
    for kept in (full, plain):
        store.add_key(kept)
    assert store.keys_since() == [replace(full, version=1), replace(plain, version=2)]
    assert store.counts()["keys"] == 2


def test_what_has_changed_is_told_once_in_order(store: Store) -> None:
    """Each change to any key has a version of its own; who knows it is told nothing again."""
    first, second = (issuing.create(store, name, NOW).key.id for name in "ab")
    assert [kept.version for kept in store.keys_since()] == [1, 2]
    issuing.revoke(store, first, NOW)
    issuing.rotate(store, second, NOW)
    issuing.rotate(store, second, NOW)
    changed = store.keys_since(2)
    assert [(kept.key.id, kept.version) for kept in changed] == [(first, 3), (second, 5)]
    assert store.keys_since(5) == []


def test_a_change_that_fails_changes_nothing(store: Store) -> None:
    """What it raises comes through, and the next change is as if it had not been."""
    issued = issuing.create(store, "Ann", NOW)

    def fail(_: Kept) -> Kept:
        raise InvalidInput("no")

    with pytest.raises(InvalidInput, match="no"):
        store.change_key(issued.key.id, fail)
    assert store.keys_since(1) == []
    assert opened_by(store, issued.secret)
    assert store.change_key("bk_nobody", fail) is None


def test_secrets_are_given_once_and_hold(store: Store) -> None:
    """From making to the end, by what callers send."""
    first = issuing.create(store, "Ann", NOW, role="approver", models=("m*",), seconds=DAY)
    assert (first.key.state, first.key.role, first.key.models) == ("active", "approver", ("m*",))
    assert opened_by(store, first.secret)
    second = issuing.rotate(store, first.key.id, NOW, grace=9.0)
    assert second.key.former_until == NOW + 9
    assert opened_by(store, first.secret)
    assert opened_by(store, second.secret)
    assert not opened_by(store, first.secret, NOW + 9)
    assert issuing.find(store, first.key.id, NOW + 10).former_until is None
    ended = issuing.revoke(store, first.secret, NOW + 1)  # a whole key was pasted
    assert (ended.state, ended.revoked) == ("revoked", NOW + 1)
    assert not opened_by(store, second.secret)


@pytest.mark.parametrize("ask", [issuing.find, issuing.rotate, issuing.revoke])
def test_a_key_that_is_not_there_is_named_but_no_secret_is(store: Store, ask: Any) -> None:
    """Whoever pastes a whole key reads no more than its id in the error."""
    kept, secret = made()
    with pytest.raises(issuing.UnknownKey, match=f"no key '{kept.key.id}'") as error:
        ask(store, token_of(kept.key.id, secret), NOW)
    assert secret not in str(error.value)


def test_nothing_of_a_secret_is_on_disk(tmp_path: Path) -> None:
    """Neither as text nor as bytes, in the file or beside it; only a salted hash."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    tokens = [issuing.create(store, "Ann", NOW).secret]
    tokens.append(issuing.rotate(store, tokens[0][:19], NOW, grace=9.0).secret)
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert tokens[0][:19].encode() in files
    for token in tokens:
        secret = parts_of(token)[1]
        assert secret.encode() not in files
        assert bytes.fromhex(secret) not in files
    store.close()


def test_keys_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    """Another store on the same file takes the same secret."""
    for number in range(2):
        store = SQLiteStore(tmp_path / "history.db")
        store.migrate()
        if not number:
            token = issuing.create(store, "Ann", NOW).secret
        assert opened_by(store, token)
        store.close()


def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    """Were it drawn again, the key that has it would stay as it is."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    kept, secret = made()
    store.add_key(kept)
    other, _ = made()
    with pytest.raises(StoreError):
        store.add_key(replace(other, key=replace(other.key, id=kept.key.id)))
    assert store.keys_since()[0].admits(secret, NOW)
    store.close()


def test_changes_by_many_are_all_kept(tmp_path: Path) -> None:
    """Two stores on one file: no version is given twice, no revocation is lost to a rotation."""
    stores = [SQLiteStore(tmp_path / "history.db") for _ in range(2)]
    for store in stores:
        store.migrate()
    ids = [issuing.create(stores[0], f"k{n}", NOW).key.id for n in range(4)]

    def change(number: int) -> None:
        store, id_ = stores[number % 2], ids[number % 4]
        if number >= 40 and number < 44:
            issuing.revoke(store, id_, NOW)
            return
        with suppress(InvalidInput):  # it is revoked by now
            issuing.rotate(store, id_, NOW, grace=float(number % 3))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(80)))
    found = stores[1].keys_since()
    assert {kept.key.state(NOW) for kept in found} == {"revoked"}
    assert len({kept.version for kept in found}) == 4
    assert stores[0].keys_since() == found
    for store in stores:
        store.close()


def test_a_history_of_an_earlier_version_gets_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there stays, and keys can be made."""
    from budget_proxy.store import migrations

    before = migrations.STEPS[: migrations.STEPS.index(m011_keys)]
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "STEPS", before)
        old = SQLiteStore(tmp_path / "history.db")
        old.migrate()
        old.close()
    new = SQLiteStore(tmp_path / "history.db")
    assert "m011_keys" in new.migrate()
    assert opened_by(new, issuing.create(new, "Ann", NOW).secret)
    new.close()
    connection = sqlite3.connect(new.path)
    assert connection.execute("SELECT count(*) FROM keys").fetchone() == (1,)
    connection.close()
