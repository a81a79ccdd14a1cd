"""``budget-proxy limits``, and the same over HTTP."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from budget_proxy.ledger.accounts import Account, Open
from budget_proxy.ledger.windows import window_of
from budget_proxy.policy.rollout import pseudonym
from budget_proxy.store import open_store
from budget_proxy.types import CallRecord
from tests.command_line import history, rows, run, run_json
from tests.makers import record
from tests.proxied import Answer, running

ADD = ("limits", "add", "--window", "day")


def today(**given: Any) -> CallRecord:
    """A row of 10 input and 100 output tokens, a moment ago."""
    return record(**{"ts": time.time(), **given})


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A history with three calls of today, one of another agent."""
    return history(tmp_path / "h.db", today(), today(cost=0.25), today(agent="other"))


def test_what_the_window_has_used_already_counts(url: str) -> None:
    """A limit begins with the calls of the running window that it concerns."""
    done = run_json(*ADD, "--store", url, "--agent", "reviewer", "--tokens", "1000", "--name", "it")
    assert done["notes"] == []
    found = run_json("limits", "--store", url)["limits"]
    assert found == [done["limit"]]
    (account,) = found[0]["accounts"]
    assert (found[0]["where"], found[0]["name"]) == ({"agent": "reviewer"}, "it")
    assert (account["used"], account["left"], account["share"]) == (220, 780, 0.22)
    assert account["ends"] == window_of("day", "UTC", time.time())[1]


@pytest.mark.parametrize("text", ["0.1", "0.100000000", "$0.1"])
def test_money_is_exact(url: str, text: str) -> None:
    """Ten cents are 100,000,000 nano-dollars, whatever a float would make of them."""
    assert run_json(*ADD, "--store", url, "--usd", text)["limit"]["amount"] == 0.1
    store = open_store(url)
    assert store.limits()[0].amount == 100_000_000
    store.close()


def test_unpriced_calls_are_charged_and_said(url: str) -> None:
    """They count at the dearest price of their provider, never at nothing."""
    done = run_json(*ADD, "--store", url, "--usd", "5")
    assert done["unpriced"] == 2
    assert "2 calls of the running window" in done["notes"][0]
    assert sum(row.charged is not None for row in rows(url)) == 2
    assert done["limit"]["accounts"][0]["used"] > 0.25


def test_zero_is_accepted_and_said(url: str) -> None:
    """A limit of 0 refuses every call; nobody takes it for no limit."""
    said = run(*ADD, "--store", url, "--tokens", "0").stdout
    assert "every call that it concerns is refused" in said
    assert run_json("limits", "--store", url)["limits"][0]["amount"] == 0


def test_users_are_stored_by_the_pseudonym_that_rows_have(url: str) -> None:
    """The name itself is nowhere in the history; calls of that user count."""
    store = open_store(url)
    user = pseudonym(bytes.fromhex(store.meta("salt", "ab" * 32)), "user", "ann@example.org")
    store.append([today(user=user)])
    store.close()
    done = run_json(*ADD, "--store", url, "--user", "ann@example.org", "--output-tokens", "500")
    assert done["limit"]["where"] == {"user": user}
    assert done["limit"]["accounts"][0]["used"] == 100
    each = run_json(*ADD, "--store", url, "--user", "*", "--tokens", "500")["limit"]
    assert {one["part"]: one["used"] for one in each["accounts"]} == {"": 330, user: 110}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--usd", "0.0000000001"), "at most 9 decimals"),
        (("--usd", "-1"), "written as 0.25"),
        (("--usd", "nan"), "written as 0.25"),
        (("--usd", "1e30"), "at most $1,000,000,000"),
        (("--tokens", "-1"), "between 0 and"),
        (("--tokens", "1", "--usd", "1"), "one of --tokens, --output-tokens and --usd"),
        ((), "one of --tokens, --output-tokens and --usd"),
        (("--tokens", "1", "--window", "year"), "--window must be one of flight"),
        (("--tokens", "1", "--hold", "none"), "--hold must be one of predicted"),
        (("--tokens", "1", "--soft", "--degrade-model", "m"), "say one of them"),
        (("--tokens", "1", "--user", "*", "--agent", "*"), "one * at most"),
        (("--tokens", "1", "--zone", "Berlin"), "no time zone"),
        (("--tokens", "1", "--degrade-effort", "lots"), "an effort is one of none, minimal"),
    ],
)
def test_what_makes_no_sense_is_one_line_that_says_what_does(
    url: str, options: tuple[str, ...], said: str
) -> None:
    """Exit code 2, and nothing comes into force."""
    result = run(*ADD, "--store", url, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert run_json("limits", "--store", url)["limits"] == []


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ([], "calls are refused from now on"), (["--soft"], "calls go on"),
        (["--degrade-model", "gpt-5-nano"], "calls fall back from now on"),
    ],
)  # fmt: skip
def test_a_limit_that_is_passed_as_it_is_made_says_so(
    url: str, action: list[str], said: str
) -> None:
    """Whoever makes one amid a month learns what becomes of the calls of the rest of it."""
    (note,) = run_json(*ADD, "--store", url, "--tokens", "330", *action)["notes"]
    assert note == f"It is passed already by what was used before: {note.partition(': ')[2]}"
    assert said in note
    assert run_json(*ADD, "--store", url, "--tokens", "331")["notes"] == []
    lowered = run_json("limits", "set", "2", "--tokens", "329", "--store", url)
    assert "calls are refused from now on" in lowered["notes"][0]


def test_a_limit_for_each_says_what_becomes_of_calls_that_name_nobody(url: str) -> None:
    """They share an account, which is shown as such: a hard stop of runs would stop them, too."""
    done = run(*ADD, "--store", url, "--tokens", "1000", "--run", "*").stdout
    assert "All calls that name no run share one account of it." in done
    assert re.search(r"^#1 unnamed .* 330 ", run("limits", "--store", url).stdout, re.MULTILINE)
    assert run_json(*ADD, "--store", url, "--tokens", "1000", "--agent", "*")["notes"] == []


def test_nothing_to_check_is_said(url: str) -> None:
    """Without limits there is no account that could differ."""
    assert "There is nothing to check" in run("limits", "check", "--store", url).stdout


def test_a_limit_of_a_key_needs_a_key_that_there_is(url: str) -> None:
    """Of a name or a typo nothing would ever count; a whole key is taken for its id."""
    made = run_json("keys", "create", "--name", "Ann", "--store", url)
    for wrong in ("Ann", "bk_0000000000000000"):
        done = run(*ADD, "--store", url, "--usd", "5", "--key", wrong)
        assert done.exit_code == 2
        assert f"there is no key '{wrong}': " in done.stderr
    assert made["key"]["id"] in run(*ADD, "--store", url, "--usd", "5", "--key", "Ann").stderr
    assert run_json("limits", "--store", url)["limits"] == []
    done = run_json(*ADD, "--store", url, "--usd", "5", "--key", made["secret"])
    assert done["limit"]["where"] == {"key": made["key"]["id"]}
    assert run_json(*ADD, "--store", url, "--usd", "9", "--key", "*")["limit"]["where"] == {
        "key": "*"
    }


def test_an_amount_is_changed_and_a_limit_removed(url: str) -> None:
    """What was counted stays; a unit is not changed; a number that is not there is said."""
    run(*ADD, "--store", url, "--tokens", "100")
    changed = run_json("limits", "set", "1", "--tokens", "700", "--store", url)["limit"]
    assert (changed["amount"], changed["accounts"][0]["used"]) == (700, 330)
    wrong = run("limits", "set", "1", "--usd", "700", "--store", url)
    assert (wrong.exit_code, "in tokens, not in usd" in wrong.stderr) == (2, True)
    missing = run("limits", "remove", "7", "--store", url)
    assert (missing.exit_code, missing.stderr) == (
        2, "budget-proxy: there is no limit 7; there are 1\n",
    )  # fmt: skip
    assert "no more" in run("limits", "remove", "1", "--store", url).stdout
    assert run_json("limits", "list", "--store", url)["limits"] == []


def test_check_finds_what_differs_and_repairs_it(url: str) -> None:
    """To the token; exit code 1 where something differed, 0 where nothing does."""
    run(*ADD, "--store", url, "--tokens", "1000")
    assert run_json("limits", "check", "--store", url)["differences"] == []
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
        file.execute("UPDATE accounts SET used = used - 3")
        file.commit()
    found = run_json("limits", "check", "--store", url, exit_code=1)
    assert [(one["used"], one["counted"]) for one in found["differences"]] == [(327, 330)]
    told = run("limits", "check", "--repair", "--store", url)
    assert (told.exit_code, "1 accounts were counted anew" in told.stdout) == (1, True)
    assert run("limits", "check", "--store", url).exit_code == 0


def test_imported_and_compacted_calls_count(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is imported counts at once, without a price too; what is compacted goes on counting."""
    monkeypatch.setenv("BUDGET_PROXY_WINDOW", "100")  # rows that compaction leaves at least
    for amount in (("--output-tokens", "10000"), ("--usd", "1e6")):
        run("limits", "add", "--window", "lifetime", "--store", url, *amount)
    call = {"ts": time.time() - 3 * 86_400, "model": "nobody-knows-it", "output_tokens": 50}
    file = tmp_path / "calls.jsonl"
    file.write_text("".join(json.dumps({**call, "id": n}) + "\n" for n in range(150)))
    before = run_json("limits", "--store", url)["limits"]
    assert run_json("import", file, "--store", url)["written"] == 150
    found = run_json("limits", "--store", url)["limits"]
    assert [one["accounts"][0]["used"] for one in (before[0], found[0])] == [300, 7_800]
    assert found[1]["accounts"][0]["used"] > before[1]["accounts"][0]["used"]
    assert run_json("history", "compact", "--older-than", "1d", "--store", url)["folded"] == 50
    assert run_json("limits", "--store", url)["limits"] == found
    assert run_json("limits", "check", "--store", url)["differences"] == []


def test_people_see_bars_and_the_bound(url: str) -> None:
    """How far a limit is used, what calls under way hold, and what they may use beyond that."""
    run(*ADD, "--store", url, "--agent", "reviewer", "--tokens", "1000")
    run(*ADD, "--store", url, "--hold", "worst", "--usd", "9")
    store = open_store(url)
    now = time.time()
    account = Account(1, "", window_of("day", "UTC", now)[0])
    store.lease("me", {account: 280}, now, 60.0)
    store.tell_open("me", {account: Open(2, 280, 5_280)})
    store.close()
    told = run("limits", "--store", url).stdout
    line = next(line for line in told.splitlines() if line.startswith("#1   "))
    assert "██████" in line
    for text in ("50 %", "220", "280", "500", "5k"):
        assert text in line
    assert max(map(len, told.splitlines()[1:])) <= 80
    found = run_json("limits", "--store", url)["limits"]
    assert (found[0]["accounts"][0]["open"], found[0]["accounts"][0]["bound"]) == (2, 5_000)
    assert found[1]["accounts"][0]["bound"] == 0


def test_calls_that_nobody_settled_are_told(url: str) -> None:
    """By the limit that they held to, and not where there are none."""
    for _ in range(2):
        run(*ADD, "--store", url, "--tokens", "1000")
    assert "settle within an hour" not in run("limits", "--store", url).stdout
    store = open_store(url)
    store.note_expired({2: 3})
    store.close()
    told = " ".join(run("limits", "--store", url).stdout.split())
    assert "#2: 3 calls so far did not settle within an hour" in told
    assert "#1: " not in told
    found = run_json("limits", "--store", url)["limits"]
    assert [one["expired"] for one in found] == [0, 3]


def test_options_before_the_subcommand_are_not_lost_silently(url: str) -> None:
    """Where they would mean nothing, that is said."""
    result = run("limits", "--store", url, "check")
    assert (result.exit_code, "behind check" in result.stderr) == (2, True)


def test_http_makes_lists_checks_and_removes_limits(tmp_path: Path) -> None:
    """The same answers as the command line's, on the same history."""
    with running(tmp_path, Answer()) as proxy:
        base = f"{proxy.url}/v1/budget/limits"
        proxy.engine.store.append([today()])
        wanted = {"usd": 0.1, "window": "month", "zone": "Europe/Berlin", "agent": "*"}
        done = httpx.post(f"{base}/add", json=wanted)
        assert done.status_code == 200, done.text
        assert proxy.engine.store.limits()[0].amount == 100_000_000
        assert done.json()["limit"]["where"] == {"agent": "*"}
        listed = httpx.get(base).json()["limits"]
        assert listed == [done.json()["limit"]]
        assert listed == run_json("limits", "--store", proxy.engine.store.url)["limits"]
        checked = httpx.get(f"{base}/check").json()
        assert (checked["accounts"], checked["differences"]) == (1, [])
        bad = httpx.post(f"{base}/add", json={"tokens": 1, "usd": 1, "window": "day"})
        assert (bad.status_code, "one of" in bad.json()["error"]["message"]) == (400, True)
        bad = httpx.post(f"{base}/add", json={"tokens": 1, "window": "day", "agnet": "a"})
        assert (bad.status_code, bad.json()["error"]["param"]) == (400, "agnet")
        assert httpx.post(f"{base}/9/remove", json={}).status_code == 404
        assert httpx.post(f"{base}/1/remove", json={}).json()["id"] == 1
        assert httpx.get(base).json()["limits"] == []


def test_http_changes_an_amount_and_keeps_what_was_counted(tmp_path: Path) -> None:
    """As `limits set`: in its own unit, exact; a number that is not there is a 404."""
    with running(tmp_path, Answer()) as proxy:
        base, url = f"{proxy.url}/v1/budget/limits", proxy.engine.store.url
        proxy.engine.store.append([today(cost=0.25)])
        httpx.post(f"{base}/add", json={"usd": 0.1, "window": "month"}).raise_for_status()
        done = httpx.post(f"{base}/1/set", json={"usd": 0.7})
        assert done.status_code == 200, done.text
        assert proxy.engine.store.limits()[0].amount == 700_000_000
        (account,) = done.json()["limit"]["accounts"]
        assert (account["used"], done.json()["store"]) == (0.25, url)
        assert done.json()["limit"] == run_json("limits", "--store", url)["limits"][0]
        told = httpx.post(f"{base}/1/set", json={"usd": "0"}).json()
        assert told["notes"] == ["It is 0: every call that it concerns is refused."]
        for body, said in (
            ({"tokens": 5}, "in usd, not in tokens"), ({}, "one of"), ({"usd": -1}, "written as"),
            ({"usd": 1, "window": "day"}, "window"),
        ):  # fmt: skip
            wrong = httpx.post(f"{base}/1/set", json=body)
            assert (wrong.status_code, said in wrong.json()["error"]["message"]) == (400, True)
        missing = httpx.post(f"{base}/9/set", json={"usd": 1})
        assert (missing.status_code, missing.json()["error"]["param"]) == (404, "number")
        assert proxy.engine.store.limits()[0].amount == 0


def test_http_counts_anew_what_differs(tmp_path: Path) -> None:
    """As `limits check --repair`; to ask alone changes nothing."""
    with running(tmp_path, Answer()) as proxy:
        base, store = f"{proxy.url}/v1/budget/limits", proxy.engine.store
        store.append([today()])
        httpx.post(f"{base}/add", json={"tokens": 900, "window": "day"}).raise_for_status()
        with closing(sqlite3.connect(store.url.removeprefix("sqlite:///"))) as file:
            file.execute("UPDATE accounts SET used = used - 3")
            file.commit()
        for _ in range(2):
            found = httpx.get(f"{base}/check").json()
            assert [(d["used"], d["counted"]) for d in found["differences"]] == [(107, 110)]
            assert found["repaired"] == 0
        done = httpx.post(f"{base}/repair", json={}).json()
        assert (done["differences"], done["repaired"]) == (found["differences"], 1)
        again = httpx.post(f"{base}/repair", json={}).json()
        assert (again["differences"], again["repaired"]) == ([], 0)
        assert httpx.get(f"{base}/repair").status_code == 405


@pytest.mark.parametrize(
    "amount",
    [
        {"tokens": True}, {"tokens": "5"}, {"tokens": 5.5}, {"output_tokens": 10**19},
        {"usd": True}, {"usd": [1]},
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused_over_http(tmp_path: Path, amount: dict[str, Any]) -> None:
    """True is no 1: nobody meant a limit of one token."""
    with running(tmp_path, Answer()) as proxy:
        url = f"{proxy.url}/v1/budget/limits/add"
        wrong = httpx.post(url, json={"window": "day", **amount})
        (name,) = amount
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, name)
        assert proxy.engine.store.limits() == []
