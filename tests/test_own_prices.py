"""Prices that the settings name: used by all that counts money, at both doors."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any, Final

import anthropic
import openai
import pytest

from budget_proxy.analytics.billing.prices import table
from budget_proxy.analytics.billing.reconcile import Reconciliation, reconcile
from budget_proxy.analytics.suggestions.find import scene_of
from budget_proxy.assemble import Engine
from budget_proxy.errors import ConfigError
from budget_proxy.ledger.limits import Limit
from budget_proxy.settings import FILE, load
from budget_proxy.store.billed import Billed, spent_of
from budget_proxy.store.memory import MemoryStore
from budget_proxy.types import CallRecord, Usage
from budget_proxy.wire.prices import LISTED, Prices, prices_of
from budget_proxy.wire.tariff import Tariff
from tests.command_line import history, run_json
from tests.command_line import rows as rows_of
from tests.doors import rows
from tests.makers import NOW, record
from tests.provider_answers import Answer
from tests.test_ledger_parity import UNFITTED, limit
from tests.test_parity import MESSAGES, Bench, _body, apis, bench, doors, ways

MODEL: Final = "my-finetune"
OWN: Final = {"input": 0.1, "output": 0.4, "cached_input": 0.05}
VERSION: Final = "settings: input 0.1, output 0.4, cached_input 0.05"
FREE: Final = {"input": 0, "output": 0}
CHAT: Final = "openai.chat"


def body(api: str, *, stream: bool = False) -> dict[str, Any]:
    """A call to the model that no price list has."""
    return {**_body(api, stream=stream), "model": MODEL}


def used(site: Bench) -> int:
    """What the one limit has used, in nano-dollars."""
    assert site.engine.flush()
    (balance,) = site.engine.store.balances(time.time())
    return balance.used


@apis
@doors
@ways
def test_a_call_costs_what_the_settings_say(api: str, door: str, stream: bool) -> None:
    """Its row has the cost, and which prices those were; limits count the same, to the nano."""
    with bench(prices={MODEL: OWN}) as site:
        site.provider.answer = Answer(output_tokens=90, input_tokens=12, cached=4)
        limit(site, Limit("usd", 10**12, "day"))
        site.call(api, body(api, stream=stream), colour="sync", door=door)
        (row,) = rows(site.engine)
        counted = used(site)
    assert (row.input_tokens, row.cache_read_tokens, row.output_tokens) == (12, 4, 90)
    # (8 x 0.1 + 4 x 0.05 + 90 x 0.4) / 1e6
    assert row.cost == pytest.approx(37e-6, rel=1e-12)
    assert row.prices == VERSION
    assert row.charged == counted == 37_000
    assert "no price" not in row.reason


@apis
@doors
def test_what_is_reserved_is_priced_by_the_settings(api: str, door: str) -> None:
    """Just room enough is enough, and a nano-dollar less is not."""
    library: Any = anthropic if api == MESSAGES else openai
    with bench(prices={MODEL: OWN}, **UNFITTED) as site:
        plan = site.engine.plan(api=api, body=body(api), dry_run=True)
        tokens = plan.input_tokens * Decimal("0.1") + plan.allocation.reserve * Decimal("0.4")
        amount = ceil(tokens * 1_000)
        number = limit(site, Limit("usd", amount - 1, "day"))
        with pytest.raises(library.APIStatusError):
            site.call(api, body(api), colour="sync", door=door)
        assert site.provider.requests == []
        limit(site, replace(site.engine.store.limits()[0], id=number, amount=amount))
        site.call(api, body(api), colour="sync", door=door)
        assert len(rows(site.engine)) == 1


@apis
@doors
def test_a_free_model_costs_nothing_and_takes_no_room(api: str, door: str) -> None:
    """0 is a price: the cost is 0 and known, where without the setting it is unknown and dear."""
    with bench(prices={MODEL: FREE}) as site:
        limit(site, Limit("usd", 1, "day"))
        for _ in range(3):
            site.call(api, body(api), colour="sync", door=door)
        found = rows(site.engine)
        assert used(site) == 0
        (sums,) = site.engine.store.sums()
        assert (sums.priced, sums.cost) == (3, 0.0)
    assert [(row.cost, row.charged) for row in found] == [(0.0, 0)] * 3
    with bench() as site:
        site.call(api, body(api), colour="sync", door=door)
        (row,) = rows(site.engine)
    assert row.cost is None
    assert row.charged


def test_a_negotiated_price_goes_before_the_list() -> None:
    """Of whatever tier and host; other models, and other spellings, cost what is listed."""
    prices = Prices({"gpt-5.5": Tariff(Decimal(4), Decimal(20))})
    usage = Usage(1_000, 1_000, 100, 500)
    for tier in (None, "priority"):
        dollars, version = prices.cost(CHAT, "gpt-5.5", "api.openai.com", usage, tier, NOW)
        assert dollars == pytest.approx(0.024)
        assert version == "settings: input 4, output 20"
    for model in ("gpt-5.4", "gpt-5.5-2026-04-23"):
        listed = LISTED.cost(CHAT, model, "api.openai.com", usage, None, NOW)
        assert prices.cost(CHAT, model, "api.openai.com", usage, None, NOW) == listed


def test_usage_that_contradicts_itself_counts_at_the_dearest_of_the_models_own_prices() -> None:
    """More cached tokens than input: no cost is told, and limits are not passed by it."""
    own = Tariff(Decimal(1), Decimal(2), cache_write=Decimal("1.25"))
    usage = Usage(10, 10, None, 11)
    prices = Prices({MODEL: own})
    assert prices.cost(CHAT, MODEL, "", usage, None, NOW) == (None, None)
    assert prices.charge(CHAT, MODEL, "", usage, None, NOW) == (32_500, True)


def test_the_router_takes_the_model_that_is_cheaper_by_the_settings() -> None:
    """Unknown prices come last; a model of one's own with a price is compared like others."""
    tiers = [{"model": "gpt-5.4"}, {"model": MODEL}]
    task = {"description": "Say hello"}
    with Engine.open("memory:", tiers=tiers) as engine:
        assert engine.select_model_and_budget(task).model == "gpt-5.4"
    with Engine.open("memory:", tiers=tiers, prices={MODEL: OWN}) as engine:
        chosen = engine.select_model_and_budget(task)
    assert chosen.model == MODEL
    assert chosen.choice.expected_cost is not None


def test_suggestions_compare_by_the_settings() -> None:
    """What a model's tokens cost, for whatever row is asked."""
    scene = scene_of(MemoryStore(), load(prices={MODEL: OWN}), NOW, None)
    found = scene.rates(record(api=CHAT, model="gpt-5.4"), MODEL)
    assert found is not None
    assert (found.fresh, found.cached, found.plain) == (
        Decimal("1e-7"), Decimal("5e-8"), Decimal("4e-7"),
    )  # fmt: skip


def test_imported_calls_and_limits_are_counted_by_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording's own cost stays; rows of before are charged as a limit in money is made."""
    monkeypatch.chdir(tmp_path)
    Path(FILE).write_text(f'[prices."{MODEL}"]\ninput = 0.1\noutput = 0.4\n')
    call = {"ts": NOW, "model": MODEL, "input_tokens": 10, "output_tokens": 100}
    lines = [call, {**call, "ts": NOW + 1, "cost_usd": 0.5}]
    file = tmp_path / "calls.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    old = record(api=CHAT, model=MODEL, ts=NOW - 9, input_tokens=20, output_tokens=100, cost=None)
    url = history(tmp_path / "history.db", old)
    run_json("import", file, "--store", url)
    before, priced, told = rows_of(url)
    assert (before.cost, before.charged) == (None, None)
    assert priced.cost == pytest.approx(41e-6)
    assert priced.prices == "settings: input 0.1, output 0.4"
    assert (told.cost, told.prices) == (0.5, "recorded")
    made = run_json("limits", "add", "--usd", "10", "--window", "lifetime", "--store", url)
    assert made["limit"]["accounts"][0]["used"] == pytest.approx(0.5 + 41e-6 + 42e-6)


def day(prices: Prices, calls: Sequence[CallRecord]) -> Reconciliation:
    """A day's bill at the listed prices, beside these rows; ``prices`` are in force."""
    rates = LISTED.rates(CHAT, "gpt-5.4", "", None, NOW)
    assert rates is not None
    lines = []
    for kind, tokens, rate in (("input", 1_000, rates.fresh), ("output", 100, rates.plain)):
        facts: dict[str, Any] = {"day": "2026-10-01", "model": "gpt-5.4", "kind": kind}
        requests = 1 if kind == "output" else None
        lines += [
            Billed("openai", "cost", **facts, amount=int(tokens * rate * 10**9)),
            Billed("openai", "usage", **facts, tokens=tokens, requests=requests),
        ]
    return reconcile(spent_of(calls), lines, "2026-10-01", "2026-10-31", prices=table(prices))


def test_a_reconciliation_tells_prices_of_the_settings() -> None:
    """Where they are not the bill's, and where rows have others than are in force by now."""
    old, new = (Prices({"gpt-5.4": Tariff(Decimal(one), Decimal(9))}) for one in (1, 2))
    call = record(
        api=CHAT, host="api.openai.com", model="gpt-5.4", ts=1_790_812_800.0 + 3_600,
        input_tokens=1_000, output_tokens=100, cost=None,
    )  # fmt: skip
    found = day(old, [old.priced(call)])
    assert {one.cause for one in found.explanations} == {"price"}
    assert found.unexplained_nano == 0
    (evidence,) = {one.evidence for one in found.explanations}
    assert evidence.endswith("our rows were priced by the settings")
    (changed,) = {one.evidence for one in day(new, [old.priced(call)]).explanations}
    assert changed.endswith(
        "our rows were not priced by our table as it is now, but by settings: input 1, output 9"
    )
    assert day(LISTED, [LISTED.priced(call)]).explanations == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("input = 0.1", "prices.m.output: Field required"),
        ("input = -0.1\noutput = 1", "prices.m.input: Input should be greater than or equal to 0"),
        ("input = nan\noutput = 1", "prices.m.input: Input should be a finite number"),
        ("input = 1\noutput = inf", "prices.m.output: Input should be a finite number"),
        ("input = true\noutput = 1", "prices.m.input: .* US dollars a million tokens"),
        ('input = "cheap"\noutput = 1', "prices.m.input: Input should be a valid decimal"),
        ("input = 2000000\noutput = 1", "prices.m.input: Input should be less than or equal"),
        ("input = 1\noutput = 1\ncached = 1", "prices.m.cached: there is no such setting"),
    ],
)
def test_a_wrong_price_says_what_is_wrong(
    text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the place and what is expected there, before anything starts."""
    monkeypatch.chdir(tmp_path)
    Path(FILE).write_text(f"[prices.m]\n{text}\n")
    with pytest.raises(ConfigError, match=says):
        load()


def test_a_variable_holds_prices_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers are taken as they are written: 0.1 is 0.1."""
    monkeypatch.setenv("BUDGET_PROXY_PRICES", json.dumps({MODEL: OWN}))
    prices = prices_of(load())
    assert prices.charge(CHAT, MODEL, "", Usage(1, 1), None, NOW) == (500, True)
    assert prices.cost(CHAT, MODEL, "", Usage(1, 1), None, NOW)[1] == VERSION
