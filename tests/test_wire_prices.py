from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from budget_proxy.types import CallRecord, Usage
from budget_proxy.wire.prices import LISTED, dearest

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
CHAT, MESSAGES = "openai.chat", "anthropic.messages"
VERSION = f"genai-prices {version('genai-prices')}"


def test_cached_and_reasoning_tokens_are_priced_apart() -> None:
    """claude-sonnet-5-5: $2 in, $0.10 read, $2.50 written, $10 out, per million."""
    usage = Usage(1110, 42, 30, 1000, 100)
    # (10 x 2 + 1000 x 0.1 + 100 x 2.5 + 42 x 10) / 1e6 = (20 + 100 + 250 + 420) / 1e6
    dollars, table = LISTED.cost(
        MESSAGES, "claude-sonnet-5-5", "api.anthropic.com", usage, None, NOW
    )
    assert dollars == pytest.approx(790e-6)
    assert table == VERSION


def test_unknown_is_none() -> None:
    """No price, no input or no output tokens, or counts that contradict each other: no cost."""
    known = Usage(10, 10)
    assert LISTED.cost(CHAT, "SmolLM2-135M-Instruct", "127.0.0.1:9", known, None, NOW) == (
        None,
        None,
    )
    assert LISTED.cost(CHAT, "mystery-1", "api.example.com", known, None, NOW) == (None, None)
    for usage in (Usage(None, 10), Usage(10, None), Usage(), Usage(10, 10, None, 11)):
        assert LISTED.cost(CHAT, "gpt-5.5", "", usage, None, NOW) == (None, None)


def test_local_models_have_no_price() -> None:
    """A name that some provider sells costs nothing known when a local server answers."""
    for host in ("127.0.0.1:8080", "localhost", "[::1]:80"):
        assert LISTED.cost(CHAT, "mistral-small-latest", host, Usage(10, 10), None, NOW) == (
            None,
            None,
        )
    elsewhere = LISTED.cost(
        CHAT, "mistral-small-latest", "api.mistral.ai", Usage(10, 10), None, NOW
    )
    assert elsewhere[0] is not None


def test_the_host_says_who_bills() -> None:
    """The same name can have another price at another host."""
    usage = Usage(100_000, 0)
    here = LISTED.cost(CHAT, "anthropic/claude-sonnet-4.5", "openrouter.ai", usage, None, NOW)
    assert here[0] is not None
    there = LISTED.cost(CHAT, "claude-sonnet-4-5", "gateway.example.com", usage, None, NOW)
    assert there[0] == pytest.approx(0.3)  # 1e5 x $3 / 1e6


def test_the_tier_that_answered_decides() -> None:
    """Priority costs more than default, flex less; fast mode doubles Opus 5.5."""
    usage = Usage(1000, 1000)
    prices = [
        LISTED.cost(CHAT, "gpt-5.5", "", usage, tier, NOW)[0] for tier in ("flex", None, "priority")
    ]
    assert None not in prices
    assert sorted(prices, key=lambda p: p or 0) == prices
    assert len(set(prices)) == 3
    plain = LISTED.cost(MESSAGES, "claude-opus-5-5", "", usage, "standard", NOW)[0]
    fast = LISTED.cost(MESSAGES, "claude-opus-5-5", "", usage, "fast", NOW)[0]
    assert plain == pytest.approx(0.024)  # 1000 x (4 + 20) / 1e6
    assert fast == pytest.approx(0.048)


TOKENS = st.integers(0, 400_000)


@given(
    model=st.sampled_from(
        [(CHAT, "gpt-5.5"), (CHAT, "gpt-6.1-sol"), (CHAT, "gpt-4o"), (MESSAGES, "claude-opus-4-6"),
         (MESSAGES, "claude-haiku-5-5")]
    ),
    counts=st.tuples(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS),
    tier=st.sampled_from([None, "default", "flex", "priority"]),
)  # fmt: skip
@example(model=(CHAT, "gpt-5.5"), counts=(272_000, 0, 0, 9, 0), tier=None)
@example(model=(CHAT, "gpt-5.5"), counts=(272_001, 0, 0, 9, 0), tier=None)
def test_equals_the_library(
    model: tuple[str, str], counts: tuple[int, int, int, int, int], tier: str | None
) -> None:
    """The sum is the library's own: cache, reasoning, service and long-context tiers included."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    api, name = model
    fresh, read, write, out, thought = counts
    ours = Usage(fresh + read + write, out + thought, thought, read, write)
    theirs = Tokens(
        input_tokens=ours.input_tokens,
        output_tokens=ours.output_tokens,
        output_reasoning_tokens=thought,
        cache_read_tokens=read,
        cache_write_tokens=write,
    )
    expected = calc_price(
        theirs,
        name,
        provider_id=api.partition(".")[0],
        genai_request_timestamp=datetime.fromtimestamp(NOW, tz=UTC),
        price_context={"service_tier": tier} if tier else None,
    )
    assert LISTED.cost(api, name, "", ours, tier, NOW)[0] == float(expected.total_price)


def test_times_of_day_change_on_quarters() -> None:
    """The table's prices by time of day begin and end on quarters of an hour, as rates are kept."""
    from genai_prices.data import providers
    from genai_prices.types import TimeOfDateConstraint

    listed = [m.prices for p in providers for m in p.models if isinstance(m.prices, list)]
    times = [
        moment
        for prices in listed
        for price in prices
        if isinstance(price.constraint, TimeOfDateConstraint)
        for moment in (price.constraint.start_time, price.constraint.end_time)
    ]
    assert times
    assert all(time.minute % 15 == time.second == time.microsecond == 0 for time in times)


def test_a_fee_by_request_is_in_the_sum() -> None:
    """Prices that are no plain sum of tokens are the library's to add up: Sonar's $5 a thousand."""
    dollars, _ = LISTED.cost(CHAT, "sonar", "api.perplexity.ai", Usage(1000, 0), None, NOW)
    again, _ = LISTED.cost(CHAT, "sonar", "api.perplexity.ai", Usage(2000, 0), None, NOW)
    assert dollars is not None
    assert again is not None
    assert 2 * dollars > again > dollars


def test_unit_prices() -> None:
    """Dollars per token, and nothing for models that nobody prices."""
    assert LISTED.unit_prices(MESSAGES, "claude-sonnet-5-5") == pytest.approx((2e-6, 10e-6))
    assert LISTED.unit_prices(CHAT, "gpt-5.5", NOW) == pytest.approx((5e-6, 30e-6))
    assert LISTED.unit_prices(CHAT, "mystery-1") is None


def test_priced_rows() -> None:
    """A row gets its cost and the prices' version; one that has a cost keeps it."""
    row = CallRecord(
        ts=NOW, api=CHAT, model="gpt-5.5", call_id="c", input_tokens=1000, output_tokens=500,
        reasoning_tokens=100, cache_read_tokens=200,
    )  # fmt: skip
    done = LISTED.priced(row)
    # (800 x 5 + 200 x 0.5 + 500 x 30) / 1e6
    assert done.cost == pytest.approx(0.0191)
    assert done.prices == VERSION
    assert LISTED.priced(done) is done
    unknown = CallRecord(
        ts=NOW, api=CHAT, model="SmolLM2", call_id="c", input_tokens=1, output_tokens=1
    )
    assert LISTED.priced(unknown) is unknown


def test_a_charge_is_the_cost_in_nano_dollars_rounded_up() -> None:
    """gpt-5-mini: $0.25 and $2 a million tokens."""
    assert LISTED.charge(CHAT, "gpt-5-mini", "api.openai.com", Usage(3, 5), None, NOW) == (
        10_750,
        True,
    )
    assert LISTED.charge(CHAT, "gpt-5-mini", "api.openai.com", Usage(None, 5), None, NOW) == (
        10_000,
        True,
    )


def test_an_unknown_price_is_charged_at_the_dearest_of_the_provider() -> None:
    """Never nothing; each kind of token at the dearest price that any model has."""
    given, taken = dearest(CHAT, int(NOW // 86_400))
    assert LISTED.charge(CHAT, "nobody-knows-it", "", Usage(7, 11), None, NOW) == (
        ceil((7 * given + 11 * taken) * 10**9),
        False,
    )
    for model in ("gpt-5-mini", "gpt-5.4", "o1-pro", "gpt-4o"):
        prices = LISTED.unit_prices(CHAT, model, NOW)
        assert prices is not None
        assert given >= Decimal(repr(prices[0]))
        assert taken >= Decimal(repr(prices[1]))


def test_rows_are_charged_once() -> None:
    """At their cost, where that is known; at the dearest price, where nobody knows it."""
    row = CallRecord(
        NOW, CHAT, "gpt-5-mini", "c", host="api.openai.com", input_tokens=3, output_tokens=5
    )
    assert LISTED.charged(row).charged == LISTED.charged(LISTED.priced(row)).charged == 10_750
    assert LISTED.charged(replace(row, charged=7)).charged == 7
    dear = LISTED.charged(replace(row, model="nobody-knows-it")).charged
    assert dear is not None
    assert dear > 10_750
    assert LISTED.charged(replace(row, cost=0.5)).charged == 500_000_000


def test_whose_provider_nobody_knows_is_charged_at_the_dearest_of_all() -> None:
    """Imported calls among them; but for tasks that were recorded nobody was paid."""
    given, taken = dearest("import", 20_000)
    for api in (CHAT, "anthropic.messages"):
        its = dearest(api, 20_000)
        assert (given >= its[0], taken >= its[1]) == (True, True)
    row = CallRecord(NOW, "import", "nobody-knows-it", "c", input_tokens=3, output_tokens=5)
    assert LISTED.charged(row).charged == ceil((3 * given + 5 * taken) * 10**9)
    assert LISTED.charged(replace(row, api="task")).charged == 0
