"""Limits: what makes sense, and whose calls they concern."""

from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.limits import EACH, Limit, Whose, amount_of, beaten, runs_of, whose_of
from budget_proxy.types import CallRecord

ROW = CallRecord(
    1.0, "openai.chat", "gpt-5-mini", "c1", agent="coder", task="t1", user="u", key="bk_1",
    tags=("red", "blue"), run="ticket/fix", input_tokens=100, output_tokens=7, charged=1_234,
)  # fmt: skip


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        ((), ("",)),
        ((("agent", "coder"),), ("",)),
        ((("agent", "writer"),), ()),
        ((("agent", "coder"), ("model", "gpt-5-mini")), ("",)),
        ((("agent", "coder"), ("model", "gpt-5")), ()),
        ((("tag", "blue"),), ("",)),
        ((("tag", EACH),), ("red", "blue")),
        ((("user", EACH),), ("u",)),
        ((("user", EACH), ("agent", "writer")), ()),
        ((("run", "ticket"),), ("",)),
        ((("run", "ticket/fix"),), ("",)),
        ((("run", "tick"),), ()),
        ((("run", EACH),), ("ticket", "ticket/fix")),
    ],
)
def test_a_limit_concerns_the_calls_that_have_all_its_names(
    where: tuple[tuple[str, str], ...], parts: tuple[str, ...]
) -> None:
    """Several names must all be there; ``*`` keeps an account for each value."""
    assert Limit("tokens", 10, "day", where).parts(whose_of(ROW)) == parts


def test_calls_that_name_nobody_share_an_account() -> None:
    """Leaving a name out is no way around a limit by user, tag or run."""
    nobody = Whose(agent="coder", model="m")
    for dimension in ("key", "user", "task", "tag", "run"):
        assert Limit("usd", 10, "day", ((dimension, EACH),)).parts(nobody) == ("",)


def test_a_row_counts_tokens_output_tokens_and_money() -> None:
    """Tokens are input and output; money is what the row is charged at; unknown is nothing."""
    assert [amount_of(unit, ROW) for unit in ("tokens", "output_tokens", "usd")] == [107, 7, 1_234]
    unknown = CallRecord(1.0, "openai.chat", "m", "c2")
    assert [amount_of(unit, unknown) for unit in ("tokens", "output_tokens", "usd")] == [0, 0, 0]


def test_runs_are_paths() -> None:
    """A run's path names all runs above it."""
    assert runs_of("a/b/c") == ("a", "a/b", "a/b/c")
    assert runs_of(None) == runs_of("") == ()


def test_runs_whose_names_begin_or_end_with_a_slash_share_nothing() -> None:
    """What has no name is no run: two absolute paths have no account in common."""
    assert runs_of("/home/one") == ("/home", "/home/one")
    assert runs_of("a//b/") == ("a", "a//b", "a//b/")
    assert runs_of("//") == ("//",)
    each = Limit("tokens", 100, "lifetime", (("run", EACH),))
    assert each.parts(Whose(runs=runs_of("/one"))) == ("/one",)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"amount": -1}, "between 0 and"),
        ({"amount": 10**19}, "between 0 and"),
        ({"unit": "euros"}, "unit is one of"),
        ({"window": "year"}, "window is one of"),
        ({"action": "warn"}, "action is one of"),
        ({"hold": "none"}, "hold is one of"),
        ({"where": (("team", "a"),)}, "not by 'team'"),
        ({"where": (("tag", "a"), ("tag", "b"))}, "names a dimension once"),
        ({"where": (("tag", EACH), ("user", EACH))}, "one \\* at most"),
        ({"action": "degrade"}, "names a model or an effort"),
        ({"effort": "low"}, "needs the action degrade"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    """Each wrong value is named."""
    values: dict[str, object] = {"unit": "tokens", "amount": 10, "window": "day", **wrong}
    with pytest.raises(InvalidInput, match=said):
        Limit(**values)  # type: ignore[arg-type]


def test_zero_means_zero() -> None:
    """A limit of nothing is a limit."""
    assert Limit("tokens", 0, "day").amount == 0


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({}, True),
        ({"where": (("user", "bob"), ("agent", "a"))}, False),
        ({"window": "month"}, False),
        ({"unit": "usd"}, False),
        ({"action": "alert"}, False),
        ({"where": (("user", "bob"),), "action": "degrade", "model": "m"}, True),
    ],
)
def test_what_takes_the_place_of_a_limit_for_each(given: dict[str, Any], holds: bool) -> None:
    """A limit of the same unit, window and other names; one that only alerts lifts no hard one."""
    facts: dict[str, Any] = {
        "unit": "tokens", "amount": 5, "window": "day", "where": (("user", "bob"),), "id": 2,
    }  # fmt: skip
    each = Limit("tokens", 1, "day", (("user", EACH),), id=1)
    assert beaten([each, Limit(**{**facts, **given})]) == ({1: {"bob"}} if holds else {})


def test_any_limit_takes_the_place_of_one_that_only_alerts() -> None:
    """Of two alerts the named one is told."""
    each = Limit("tokens", 1, "day", (("user", EACH),), action="alert", id=1)
    assert beaten([each, Limit("tokens", 5, "day", (("user", "bob"),), id=2)]) == {1: {"bob"}}
