"""Readers of providers' exports, on rows written by hand after the documented formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed
from budget_proxy.store.bills import FORMATS, chosen
from budget_proxy.store.bills.base import Foreign, results
from budget_proxy.store.bills.openai_costs import told
from budget_proxy.store.bills.reading import count, day_of, is_askew, money, rows_of
from budget_proxy.store.source import Source

OPENAI_COSTS = {
    "object": "page",
    "data": [
        {
            "object": "bucket", "start_time": 1_790_812_800, "end_time": 1_790_899_200,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": 0.06, "currency": "usd"},
                    "line_item": "gpt-5-mini-2025-08-07, cached input", "project_id": "proj_1",
                    "quantity": 2_400_000.0, "quantity_unit": "tokens",
                },
                {
                    "object": "organization.costs.result",
                    "amount": {"value": "0.00003420000000000000000000000000000000",
                               "currency": "usd"},
                    "line_item": "gpt-6-astra, output_tokens", "project_id": "proj_1",
                    "quantity": 0.057, "quantity_unit": "1000_tokens",
                },
                {
                    "object": "organization.costs.result",
                    "amount": {"value": 0.01, "currency": "usd"},
                    "line_item": "web search tool calls", "project_id": "proj_1",
                },
            ],
        },
        {"object": "bucket", "start_time": 1_790_899_200, "end_time": 1_790_985_600, "results": []},
    ],
    "has_more": True, "next_page": "page_2",
}  # fmt: skip
"""After openai-python's types/admin/organization/usage_costs_response.py (3.57)."""

OPENAI_COSTS_TABLE = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id,organization_id,organization_name
1790812800,1790899200,2026-10-01T00:00:00+00:00,2026-10-02T00:00:00+00:00,0.8958740000000000,usd,,,org-1,Personal
1790899200,1790985600,2026-10-02T00:00:00+00:00,2026-10-03T00:00:00+00:00,,,,,,
"""
"""The dashboard's table, after public exports of it."""

OPENAI_USAGE = {
    "object": "bucket", "start_time": 1_790_812_800, "end_time": 1_790_899_200,
    "results": [
        {
            "object": "organization.usage.completions.result", "input_tokens": 5_000,
            "output_tokens": 1_000, "input_cached_tokens": 3_000, "num_model_requests": 5,
            "project_id": "proj_1", "model": "gpt-5-mini-2025-08-07", "batch": True,
            "service_tier": "default",
        }
    ],
}  # fmt: skip
"""After openai-python's types/admin/organization/usage_completions_response.py (3.57)."""

OPENAI_USAGE_TABLE = """\
start_time\tend_time\tstart_time_iso\tend_time_iso\tproject_id\tnum_model_requests\tmodel\tbatch\tservice_tier\tinput_tokens\toutput_tokens\tinput_cached_tokens\tinput_uncached_tokens
1790812800\t1790899200\t2026-10-01T00:00:00+00:00\t2026-10-02T00:00:00+00:00\tproj_1\t10.0\tgpt-5-2025-08-07\tFALSE\tdefault\t59200.0\t10646.0\t5760.0\t53440.0
1790899200\t1790985600\t2026-10-02T00:00:00+00:00\t2026-10-03T00:00:00+00:00\t\t\t\t\t\t\t\t\t
"""

ANTHROPIC_COSTS = {
    "data": [
        {
            "starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z",
            "results": [
                {
                    "amount": "123.78912", "context_window": "0-200k", "cost_type": "tokens",
                    "currency": "USD", "description": "Claude Opus 5 Usage - Input Tokens",
                    "model": "claude-opus-5", "service_tier": "batch",
                    "token_type": "uncached_input_tokens", "workspace_id": "wrkspc_1",
                },
                {
                    "amount": "50", "cost_type": "web_search", "currency": "USD",
                    "description": "Web Search Usage", "model": None, "service_tier": None,
                    "token_type": None, "workspace_id": None,
                },
            ],
        }
    ],
    "has_more": False, "next_page": None,
}  # fmt: skip
"""After platform.claude.com, API reference, Get Cost Report."""

ANTHROPIC_COSTS_TABLE = """\
usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type,inference_geo,speed
2026-10-01,Claude Haiku 4.5,Default,key,message,≤ 200k,input_no_cache,0.05,0.05,token,not_available,
2026-10-01,Claude Haiku 4.5,Default,k,message,≤ 200k,input_cache_write_1h,0.02,0.02,token,none,
2026-10-01,Claude Haiku 4.5,Default,key,message_batch,≤ 200k,output,0.04,0.08,token,not_available,
"""
"""The Console's table of costs, after public exports of it."""

ANTHROPIC_USAGE = {
    "starting_at": "2026-10-01T00:00:00Z", "ending_at": "2026-10-02T00:00:00Z",
    "results": [
        {
            "uncached_input_tokens": 1_500,
            "cache_creation": {
                "ephemeral_1h_input_tokens": 1_000, "ephemeral_5m_input_tokens": 500,
            },
            "cache_read_input_tokens": 200, "output_tokens": 500, "model": "claude-opus-5",
            "service_tier": "standard", "context_window": "0-200k", "workspace_id": "wrkspc_1",
            "server_tool_use": {"web_search_requests": 10},
        }
    ],
}  # fmt: skip
"""After platform.claude.com, API reference, Get Messages Usage Report."""

ANTHROPIC_USAGE_TABLE = """\
usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,usage_output_tokens,web_search_count,inference_geo,speed
2026-10-01,claude-haiku-4-5-20251001,key,Default,message,≤ 200k,10,2,3,4,5,0,not_available,
"""
"""The Console's table of usage, after public readers of it."""

PLAIN = """\
day,model,input_tokens,cached_tokens,output_tokens,requests,cost
2026-10-01,gpt-5-mini,1000,400,50,3,"$1,234.5600"
"""


def read(text: Any, tmp_path: Path, name: str | None = None) -> list[Billed]:
    """What the reader that a file chooses makes of it."""
    path = tmp_path / "export"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    source = Source(path)
    reader = chosen("auto", source)
    assert name in {None, reader.name}
    rows = [row for _, row in rows_of(source, _refuse) if row != {"has_more": True}]
    return [line for row in rows for line in reader.lines(row)]


def _refuse(number: int, reason: str) -> None:
    raise AssertionError(f"{number}: {reason}")


def test_openais_costs_as_json(tmp_path: Path) -> None:
    """Exact amounts, quantities in their unit, and a day on which nothing was billed."""
    cached, output, search, empty = read(OPENAI_COSTS, tmp_path, "openai-costs")
    assert cached == Billed(
        "openai", "cost", "2026-10-01", "gpt-5-mini-2025-08-07", "cache_read",
        "gpt-5-mini-2025-08-07, cached input", project="proj_1", amount=60_000_000,
        tokens=2_400_000,
    )  # fmt: skip
    assert (output.model, output.kind, output.amount, output.tokens) == (
        "gpt-6-astra", "output", 34_200, 57,
    )  # fmt: skip
    assert (search.model, search.kind, search.item) == ("", "other", "web search tool calls")
    assert empty == Billed("openai", "cost", "2026-10-02", amount=0)


def test_openais_costs_as_a_table(tmp_path: Path) -> None:
    """Not told apart by line item: a day's amount; a row without an amount is a day of nothing."""
    whole, empty = read(OPENAI_COSTS_TABLE, tmp_path, "openai-costs")
    assert (whole.day, whole.model, whole.kind, whole.amount) == (
        "2026-10-01", "", "all", 895_874_000,
    )  # fmt: skip
    assert empty == Billed("openai", "cost", "2026-10-02", amount=0)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("gpt-4o-mini-2024-07-18, input", ("gpt-4o-mini-2024-07-18", "input", "")),
        ("gpt-5.4-mini-2026-03-17, cached input", ("gpt-5.4-mini-2026-03-17", "cache_read", "")),
        ("gpt-5.6-luna, cache writes", ("gpt-5.6-luna", "cache_write", "")),
        ("gpt-6-astra, input_tokens", ("gpt-6-astra", "input", "")),
        ("ft-gpt-4o-2024-08-06, output", ("ft-gpt-4o-2024-08-06", "output", "")),
        ("gpt-4o-2024-08-06 batch, output", ("gpt-4o-2024-08-06", "output", "batch")),
        ("gpt-audio-mini-2025-12-15 audio, input", ("gpt-audio-mini-2025-12-15", "other", "")),
        ("gpt-audio-mini-2025-12-15 text, output", ("gpt-audio-mini-2025-12-15", "output", "")),
        ("evals | gpt-4o-mini-2024-07-18, input", ("", "other", "")),
        ("assistants api | file search", ("", "other", "")),
        ("web search tool calls", ("", "other", "")),
        ("gpt-4o", ("gpt-4o", "all", "")),
        (None, ("", "all", "")),
    ],
)
def test_line_items_name_model_kind_and_tier(
    item: str | None, expected: tuple[str, str, str]
) -> None:
    """Line items as they were seen on bills; what is no call of ours is something else."""
    assert told(item) == expected


def test_openais_usage_as_json(tmp_path: Path) -> None:
    """Input tokens without the cached ones; requests stand with the output; batches are a tier."""
    found = read(OPENAI_USAGE, tmp_path, "openai-usage")
    assert [(one.kind, one.tokens, one.requests) for one in found] == [
        ("input", 2_000, None), ("cache_read", 3_000, None), ("output", 1_000, 5),
    ]  # fmt: skip
    assert {(one.tier, one.amount, one.day) for one in found} == {("batch", None, "2026-10-01")}


def test_openais_usage_as_a_table(tmp_path: Path) -> None:
    """By tabs, with counts such as 10.0."""
    *found, empty = read(OPENAI_USAGE_TABLE, tmp_path, "openai-usage")
    assert [(one.kind, one.tokens, one.requests) for one in found] == [
        ("input", 53_440, None), ("cache_read", 5_760, None), ("output", 10_646, 10),
    ]  # fmt: skip
    assert {one.tier for one in found} == {""}
    assert (empty.day, empty.tokens, empty.model) == ("2026-10-02", 0, "")


def test_anthropics_costs_as_json(tmp_path: Path) -> None:
    """Amounts are in cents; what is no tokens stands apart."""
    tokens, search = read(ANTHROPIC_COSTS, tmp_path, "anthropic-costs")
    assert tokens == Billed(
        "anthropic", "cost", "2026-10-01", "claude-opus-5", "input",
        "Claude Opus 5 Usage - Input Tokens", "batch", "wrkspc_1", amount=1_237_891_200,
    )  # fmt: skip
    assert (search.kind, search.amount, search.item) == ("other", 500_000_000, "Web Search Usage")


def test_anthropics_costs_as_a_table(tmp_path: Path) -> None:
    """Amounts are in dollars, models are named as people read them."""
    found = read(ANTHROPIC_COSTS_TABLE, tmp_path, "anthropic-costs")
    assert [(one.kind, one.amount, one.tier) for one in found] == [
        ("input", 50_000_000, ""), ("cache_write_1h", 20_000_000, ""),
        ("output", 40_000_000, "batch"),
    ]  # fmt: skip
    assert {(one.model, one.project) for one in found} == {("Claude Haiku 4.5", "Default")}


@pytest.mark.parametrize(
    ("export", "tokens"),
    [(ANTHROPIC_USAGE, [1_500, 200, 500, 1_000, 500]), (ANTHROPIC_USAGE_TABLE, [10, 4, 2, 3, 5])],
)
def test_anthropics_usage(export: Any, tokens: list[int], tmp_path: Path) -> None:
    """Five kinds of tokens that exclude each other, and no requests."""
    found = read(export, tmp_path, "anthropic-usage")
    assert [one.kind for one in found] == [
        "input", "cache_read", "cache_write", "cache_write_1h", "output",
    ]  # fmt: skip
    assert [one.tokens for one in found] == tokens
    assert {(one.requests, one.amount) for one in found} == {(None, None)}


def test_a_plain_table(tmp_path: Path) -> None:
    """Tokens by kind, and one amount for them all; whose model it is is known by its name."""
    found = read(PLAIN, tmp_path, "plain")
    assert [(one.kind, one.tokens, one.requests, one.amount) for one in found] == [
        ("input", 600, None, None), ("cache_read", 400, None, None), ("output", 50, 3, None),
        ("all", None, None, 1_234_560_000_000),
    ]  # fmt: skip
    assert {(one.provider, one.report) for one in found} == {("openai", "cost")}


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("openai-costs", {"start_time": 0, "amount": {"value": 1, "currency": "eur"}}),
        ("anthropic-costs", {"starting_at": "2026-10-01", "amount": "1", "currency": "GBP"}),
        ("plain", {"day": "2026-10-01", "model": "gpt-5", "cost": 1, "currency": "EUR"}),
    ],
)
def test_other_currencies_are_refused(name: str, row: dict[str, Any]) -> None:
    """They cannot be added to dollars; the error names them."""
    with pytest.raises(Foreign, match=r"EUR|GBP"):
        list(FORMATS[name].lines(row))


@pytest.mark.parametrize(
    ("name", "row", "match"),
    [
        ("openai-costs", {"amount_value": "1"}, "start_time is missing"),
        ("openai-costs", {"start_time": 0, "amount_value": "much"}, "amount such as"),
        ("openai-costs", {"start_time": 0, "amount_value": "NaN"}, "amount such as"),
        ("openai-costs", {"start_time": 0, "amount_value": "1e99"}, "beyond"),
        ("openai-costs", {"start_time": 0, "amount_value": [1]}, "amount such as"),
        ("openai-costs", {"start_time": 0, "line_item": "gpt-5, input"}, "amount_value is missing"),
        ("openai-costs", {"start_time": 0, "end_time": 604_800, "amount_value": 1}, "by day"),
        ("openai-usage", {"start_time": 0, "num_model_requests": 1, "input_tokens": 1,
                          "output_tokens": 1}, "group_by=model"),
        ("openai-usage", {"start_time": 0, "num_model_requests": 1, "input_tokens": 1,
                          "output_tokens": 1, "input_cached_tokens": 2, "model": "m"}, "cached"),
        ("openai-usage", {"start_time": 0, "num_model_requests": -1}, "whole number"),
        ("anthropic-costs", {"starting_at": "2026-10-01"}, "amount is missing"),
        ("anthropic-costs", {"starting_at": "2026-10-32", "amount": "1"}, "day such as|ISO"),
        ("anthropic-usage", {"starting_at": "2026-10-01", "uncached_input_tokens": 1,
                             "output_tokens": 1}, "model"),
        ("plain", {"day": "2026-10-01", "cost": 1}, "model is missing"),
        ("plain", {"day": "2026-10-01", "model": "own-model", "cost": 1}, "column provider"),
        ("plain", {"day": "2026-10-01", "model": "gpt-5"}, "neither"),
    ],
)  # fmt: skip
def test_bad_rows_say_what_is_wrong(name: str, row: dict[str, Any], match: str) -> None:
    """An error a row, never a number that is not there."""
    with pytest.raises(InvalidInput, match=match):
        list(FORMATS[name].lines(row))


NAMES = (
    "object", "start_time", "end_time", "start_time_iso", "amount", "amount_value", "line_item",
    "amount_currency", "quantity", "quantity_unit", "num_model_requests", "input_tokens",
    "output_tokens", "input_cached_tokens", "model", "batch", "starting_at", "ending_at",
    "currency", "token_type", "cost_type", "cost_usd", "usage_date_utc", "cache_creation",
    "uncached_input_tokens", "usage_output_tokens", "workspace_id", "day", "date", "cost",
    "requests", "provider", "cached_tokens",
)  # fmt: skip
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["usd", "2026-10-01", "1e400", "12.0", "$1,5", "{}", "gpt-5, input", "-0"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["value", "currency"]), st.text(max_size=5) | st.floats()),
)


@pytest.mark.parametrize("name", FORMATS)
@given(row=st.dictionaries(st.sampled_from(NAMES), ODD, max_size=12))
@settings(max_examples=300, deadline=None)
def test_whatever_a_row_says_it_is_read_or_refused(name: str, row: dict[str, Any]) -> None:
    """Lines of whole numbers that a store can hold, or an error that says what is wrong."""
    try:
        lines = list(FORMATS[name].lines(row))
    except InvalidInput:
        return
    for line in lines:
        assert abs(line.amount or 0) <= 10**18
        assert 0 <= (line.tokens or 0) <= 10**15
        assert len(line.day) == 10


def test_a_page_that_is_not_the_last_says_so(tmp_path: Path) -> None:
    """After its rows comes a mark; a page in pieces is read to its end."""
    path = tmp_path / "page.json"
    path.write_text(json.dumps(OPENAI_COSTS))
    assert [row for _, row in rows_of(Source(path), _refuse)][-1] == {"has_more": True}
    path.write_text(
        json.dumps(OPENAI_COSTS) + "\n" + json.dumps({**OPENAI_COSTS, "has_more": False})
    )
    found = [row for _, row in rows_of(Source(path), _refuse)]
    assert {"has_more": True} not in found
    assert len(found) == 8


def test_an_unknown_export_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    """The names of its fields, and the kinds that are known."""
    path = tmp_path / "x.csv"
    path.write_text("colour,size,shape\nred,1,round\n")
    with pytest.raises(InvalidInput, match=r"colour, shape, size.*openai-costs"):
        chosen("auto", Source(path))
    with pytest.raises(InvalidInput, match="--format must be one of auto, openai-costs"):
        chosen("excel", Source(path))


@pytest.mark.parametrize(
    ("start", "end", "day"),
    [
        ("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", "2026-10-01"),
        ("2026-09-30T22:00:00Z", "2026-10-01T22:00:00Z", "2026-10-01"),
        ("2026-10-01T05:00:00Z", "2026-10-02T05:00:00Z", "2026-10-01"),
        ("2026-10-01T23:00:00Z", "2026-10-02T00:00:00Z", "2026-10-01"),
        ("2026-10-01T23:59:00Z", None, "2026-10-01"),
    ],
)
def test_a_bucket_is_of_the_day_that_has_most_of_it(start: str, end: str | None, day: str) -> None:
    """In another time zone too, which is noticed."""
    row = {"starting_at": start, "ending_at": end}
    assert day_of(row, ("starting_at",), ("ending_at",)) == day
    askew = (
        end is not None and start[:10] != end[:10] and "T00:00" not in start and "T23" not in start
    )
    assert is_askew(row, ("starting_at",), ("ending_at",)) == askew


def test_numbers_are_read_exactly() -> None:
    """A decimal as it is written; a count that is too long is refused."""
    assert str(money({"a": "0.10"}, "a")) == "0.10"
    assert str(money({"a": 0.1}, "a")) == "0.1"
    assert money({"a": ""}, "a") is None
    with pytest.raises(InvalidInput, match="beyond"):
        count({"n": 1e18}, "n")


def test_a_bucket_is_opened() -> None:
    """Each result gets the bucket's times, and keeps its own name."""
    (only,) = results({"object": "bucket", "start_time": 1, "results": [{"object": "r", "n": 2}]})
    assert only == {"start_time": 1, "object": "r", "n": 2}
