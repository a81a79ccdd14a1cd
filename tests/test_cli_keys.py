"""``budget-proxy keys``, as people and scripts run it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.store import open_store
from budget_proxy.store.keys import parts_of
from tests.command_line import history, run, run_json

DAY = 86_400.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty history in a file."""
    return history(tmp_path / "history.db")


def admits(url: str, token: str) -> bool:
    """Whether the history's keys take what a caller sends."""
    id_, secret = parts_of(token)
    store = open_store(url)
    found = [kept for kept in store.keys_since() if kept.key.id == id_]
    store.close()
    return any(kept.admits(secret, time.time()) for kept in found)


def test_a_key_is_printed_once_on_stdout_alone(url: str) -> None:
    """So that a variable can take it; what it is stands on stderr, without the secret."""
    made = run("keys", "create", "--name", "Ann", "--store", url)
    token = made.stdout.removesuffix("\n")
    assert re.fullmatch(r"bk_[0-9a-f]{16}_[0-9a-f]{64}", token)
    assert admits(url, token)
    assert token[:19] in made.stderr
    assert "not shown again" in made.stderr
    assert "every caller of a proxy on this history now needs one" in made.stderr
    second = run("keys", "create", "--name", "Bob", "--store", url)
    assert "every caller" not in second.stderr
    later = [run("keys", *words, "--store", url) for words in (["list"], ["show", token[:19]])]
    for result in (made, second, *later):
        assert token[20:] not in result.stderr
    for result in later:
        assert token[20:] not in result.stdout
        assert token[:19] in result.stdout


def test_json_has_the_key_and_its_secret(url: str) -> None:
    """And of lists all fields but that; nothing stands on stderr."""
    made = run_json(
        "keys", "create", "--name", "Ann", "--role", "approver", "--models", "gpt-5*",
        "--models", "claude-*", "--expires", "90d", "--store", url,
    )  # fmt: skip
    key = made["key"]
    assert made["secret"].startswith(key["id"] + "_")
    assert (key["role"], key["models"]) == ("approver", ["gpt-5*", "claude-*"])
    assert key["expires"] - key["created"] == 90 * DAY
    assert run_json("keys", "list", "--store", url) == {"store": url, "keys": [key]}
    assert run_json("keys", "show", key["id"], "--store", url) == key
    again = run_json("keys", "rotate", key["id"], "--grace", "24h", "--store", url)
    assert again["key"]["former_until"] == again["key"]["rotated"] + DAY
    assert admits(url, made["secret"])
    assert admits(url, again["secret"])
    ended = run_json("keys", "revoke", key["id"], "--store", url)
    assert ended["state"] == "revoked"
    assert not admits(url, again["secret"])


def test_rotating_ends_the_secret_before_unless_a_grace_is_named(url: str) -> None:
    """The new one alone on stdout."""
    first = run("keys", "create", "--name", "Ann", "--store", url).stdout.strip()
    rotated = run("keys", "rotate", first[:19], "--store", url)
    second = rotated.stdout.strip()
    assert "holds no more" in rotated.stderr
    assert [admits(url, token) for token in (first, second)] == [False, True]
    rotated = run("keys", "rotate", first[:19], "--grace", "2h", "--store", url)
    assert "holds until 20" in rotated.stderr
    assert admits(url, second)
    shown = run("keys", "show", first[:19], "--store", url)
    assert "Secret before" in shown.stdout


def test_a_list_tells_states_and_cuts_no_id(url: str) -> None:
    """Within 80 columns, whatever a key is called and is for."""
    ids = []
    for name in ("x" * 100, "Ünïcode 名前"):
        models = [word for n in range(9) for word in ("--models", f"model-{n}-with-a-long-name*")]
        made = run("keys", "create", "--name", name, *models, "--expires", "1d", "--store", url)
        ids.append(made.stdout[:19])
    run("keys", "revoke", ids[0], "--store", url)
    lines = run("keys", "list", "--store", url).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line for line in lines if ids[0] in line and "revoked" in line]
    assert [line for line in lines if ids[1] in line and "active" in line]


def test_a_list_tells_the_minute_of_an_end_that_is_near(url: str) -> None:
    """A day says nothing of a key that ends in half an hour; of one in 90 days it does."""
    for span in ("30m", "90d"):
        run("keys", "create", "--name", span, "--expires", span, "--store", url)
    lines = run("keys", "list", "--store", url).stdout.splitlines()
    near, far = (next(line for line in lines if line.startswith(span)) for span in ("30m", "90d"))
    assert re.search(r"active +\d\d-\d\d \d\d:\d\d +every", near)
    assert re.search(r"active +\d{4}-\d\d-\d\d +every", far)


def test_without_keys_the_list_says_what_that_means(url: str) -> None:
    """Loopback only."""
    assert "loopback only" in run("keys", "list", "--store", url).stdout
    assert run_json("keys", "list", "--store", url)["keys"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "--name", "a\nb"], "printable characters"),
        (["create", "--name", "\x1b]0;x\x07"], "printable characters"),
        (["create", "--name", ""], "printable characters"),
        (["create", "--name", "x", "--role", "king"], "caller, approver, admin"),
        (["create", "--name", "x", "--expires", "0d"], "from one second"),
        (["create", "--name", "x", "--expires", "99999w"], "to ten years"),
        (["create", "--name", "x", "--expires", "9" * 5_000 + "d"], "--expires takes a span"),
        (["create", "--name", "x", "--expires", "tomorrow"], "a span of time"),
        (["create", "--name", "x", "--expires", "-1d"], "a span of time"),
        (["create", "--name", "x", "--models", " "], "printable characters"),
        (["create", "--name", "x", "--store", "memory:"], "keeps no keys"),
        (["rotate", "bk_0123"], "no key 'bk_0123'"),
        (["rotate", "KEY", "--grace", "31d"], "30 days"),
        (["revoke", "Ann"], "no key 'Ann'"),
        (["show", "../../etc/passwd"], "keys list"),
        (["show", "KEY", "--store", "sqlite:////nowhere/h.db"], "there is no history"),
    ],
)
def test_wrong_words_end_in_one_line(url: str, words: list[str], said: str) -> None:
    """Exit code 2, nothing on stdout, and no key is made."""
    id_ = run("keys", "create", "--name", "Ann", "--store", url).stdout[:19]
    given = [word.replace("KEY", id_) for word in words]
    result = run("keys", *given, *([] if "--store" in given else ["--store", url]))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(run_json("keys", "list", "--store", url)["keys"]) == 1


def test_a_whole_key_in_place_of_an_id_is_understood_and_not_repeated(url: str) -> None:
    """People paste what they have; a secret has no place in a log of a shell's errors."""
    token = run("keys", "create", "--name", "Ann", "--store", url).stdout.strip()
    assert run("keys", "revoke", token, "--store", url).exit_code == 0
    results: list[Any] = [
        run("keys", "rotate", token, "--store", url),
        run("keys", "show", "bk_" + "0" * 16 + token[19:], "--store", url),
    ]
    for result in results:
        assert result.exit_code == 2
        assert token[20:] not in result.output
