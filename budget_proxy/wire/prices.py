"""What tokens cost, by genai-prices' bundled table: never over the network, never 0 for unknown.

The library's own sum takes 200 us, more than a call may cost; so its resolved price list is
cached and the few products are computed here. Tests hold both to the same result.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final

from budget_proxy.types import CallRecord, Usage
from budget_proxy.wire.models import bare_host

_PER: Final = 1_000_000
_PERIOD: Final = 900
"""Seconds for which a looked-up price holds; some prices change with the time of day."""
_NEWEST: Final = 4_102_444_800.0
"""The year 2100: after every change of price that the table knows of."""
_LOCAL: Final = ("localhost", "127.", "[::1]", "0.0.0.0")  # noqa: S104 (compared, never bound)


def cost(
    api: str, model: str, host: str, usage: Usage, tier: str | None, ts: float
) -> tuple[float | None, str | None]:
    """US dollars of one attempt and the version of the prices; ``None`` where unknown.

    ``tier`` is the one the answer named; ``ts`` (Unix seconds) selects historic prices.
    Cache writes count at the short-lived rate.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None, None
    prices = _prices(api, model, bare_host(host), tier, int(ts // _PERIOD))
    if prices is None:
        return None, None
    total = usage.input_tokens
    entry, exit_ = _rate(prices.input_mtok, total), _rate(prices.output_mtok, total)
    read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    thought = usage.reasoning_tokens or 0
    if entry is None or exit_ is None or read + write > total or thought > usage.output_tokens:
        return None, None
    dollars = (
        (total - read - write) * entry
        + read * _or(_rate(prices.cache_read_mtok, total), entry)
        + write * _or(_rate(prices.cache_write_mtok, total), entry)
        + (usage.output_tokens - thought) * exit_
        + thought * _or(_rate(prices.output_reasoning_mtok, total), exit_)
    )
    return dollars / _PER, version()


def priced(record: CallRecord) -> CallRecord:
    """The row with its cost in US dollars and the prices' version, where they are known."""
    if record.cost is not None:
        return record
    usage = Usage(
        record.input_tokens,
        record.output_tokens,
        record.reasoning_tokens,
        record.cache_read_tokens,
        record.cache_write_tokens,
    )
    dollars, table = cost(record.api, record.model, record.host, usage, record.tier, record.ts)
    return record if dollars is None else replace(record, cost=dollars, prices=table)


def unit_prices(api: str, model: str, ts: float = _NEWEST) -> tuple[float, float] | None:
    """US dollars per input and per output token of a plain, short call; ``None`` if unknown.

    ``ts`` (Unix seconds) selects historic prices; by default the newest.
    """
    prices = _prices(api, model, "", None, int(ts // _PERIOD))
    if prices is None:
        return None
    entry, exit_ = _rate(prices.input_mtok, 0), _rate(prices.output_mtok, 0)
    return None if entry is None or exit_ is None else (entry / _PER, exit_ / _PER)


@cache
def version() -> str:
    """The version of the prices. The first call loads the library (0.5 s)."""
    from genai_prices import __version__

    return f"genai-prices {__version__}"


@lru_cache(maxsize=1024)
def _prices(api: str, model: str, host: str, tier: str | None, period: int) -> Any:
    """The library's price list of a model, or ``None``.

    The host says best who bills; then the API's own provider; then the model's name alone,
    which is no evidence on a local host, where anything is served under any name.
    """
    when = datetime.fromtimestamp(period * _PERIOD, tz=UTC)
    context = {"service_tier": tier, "speed": tier} if tier else None
    ways: list[dict[str, str]] = [{"provider_id": api.partition(".")[0]}]
    if host and not host.startswith(_LOCAL):
        ways = [{"provider_api_url": f"https://{host}"}, *ways, {}]
    return next(filter(None, (_lookup(model, way, when, context) for way in ways)), None)


def _lookup(model: str, way: dict[str, str], when: datetime, context: dict[str, str] | None) -> Any:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    try:
        return calc_price(
            Tokens(input_tokens=1, output_tokens=1),
            model,
            genai_request_timestamp=when,
            price_context=context,
            **way,
        ).model_price
    except (LookupError, ValueError):
        return None


def _rate(price: Any, input_tokens: int) -> float | None:
    """US dollars per million tokens; a tier that the input reaches applies to all of them."""
    if price is None:
        return None
    tiers = getattr(price, "tiers", None)
    if tiers is None:
        return float(price)
    reached = [tier.price for tier in tiers if input_tokens > tier.start]
    return float(reached[-1] if reached else price.base)


def _or(rate: float | None, other: float) -> float:
    return other if rate is None else rate
