"""What tokens cost, by your own prices and genai-prices' bundled table.

Never over the network, never 0 for unknown.

Nobody waits for a sum: rows are priced in the recorder's thread. What is kept here is by which
of its names the library knows a model, and that model's rates for a quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from math import ceil
from typing import TYPE_CHECKING, Any, Final

from budget_proxy.types import NO_PROVIDER, NOTHING, CallRecord, Usage
from budget_proxy.wire.models import bare_host
from budget_proxy.wire.rates import Rates, rates_by
from budget_proxy.wire.tariff import Tariff

if TYPE_CHECKING:
    from budget_proxy.settings import Settings

_NEWEST: Final = 4_102_444_800.0
"""The year 2100: after every change of price that the table knows of."""
_DAY: Final = 86_400
_NANO: Final = 1_000_000_000
_QUARTER: Final = 900
"""Seconds: where prices depend on the time of day, they change on quarters of an hour."""
_LOCAL: Final = ("localhost", "127.", "[::1]", "0.0.0.0")  # noqa: S104 (compared, never bound)

Way = tuple[tuple[str, str], ...]


class Prices:
    """The prices in force: ``own`` ones by a model's name, else the library's.

    The name is the call's, as rows and reports have it, to the letter.
    """

    def __init__(self, own: Mapping[str, Tariff] = NOTHING) -> None:
        self._own = {name: tariff.rates for name, tariff in own.items()}
        self._versions = {name: tariff.version for name, tariff in own.items()}

    def cost(
        self, api: str, model: str, host: str, usage: Usage, tier: str | None, ts: float
    ) -> tuple[float | None, str | None]:
        """US dollars of one attempt and the version of the prices; ``None`` where unknown.

        ``tier`` is the one the answer named; ``ts`` (Unix seconds) selects historic prices.
        Cache writes count at the short-lived rate.
        """
        total = self._total(api, model, host, usage, tier, ts)
        if total is None:
            return None, None
        own = self._versions.get(model)
        return float(total), version() if own is None else own

    def charge(
        self, api: str, model: str, host: str, usage: Usage, tier: str | None, ts: float
    ) -> tuple[int, bool]:
        """Nano-dollars that an attempt is charged, rounded up; and whether its price is known.

        That is what it counts against limits. Without a known price each token counts at the
        dearest one of the provider's models (design decision 11); unknown tokens count as none.
        """
        given, taken = usage.input_tokens, usage.output_tokens
        told = usage  # limits ask four times a call: it is copied only where it has to be
        if given is None or taken is None:
            told = replace(usage, input_tokens=given or 0, output_tokens=taken or 0)
        total = self._total(api, model, host, told, tier, ts)
        if total is not None:
            return ceil(total * _NANO), True
        own = self._own.get(model)
        dear_given, dear_taken = dearest(api, int(ts // _DAY)) if own is None else own.dearest
        dear = (given or 0) * dear_given + (taken or 0) * dear_taken
        return ceil(dear * _NANO), own is not None

    def charged(self, record: CallRecord) -> CallRecord:
        """The row with what it counts against limits, in nano-dollars."""
        if record.charged is not None:
            return record
        if record.api == NO_PROVIDER:
            return replace(record, charged=0)
        if record.cost is not None:
            return replace(record, charged=ceil(Decimal(repr(record.cost)) * _NANO))
        nano, _ = self.charge(
            record.api, record.model, record.host, _usage(record), record.tier, record.ts
        )
        return replace(record, charged=nano)

    def priced(self, record: CallRecord) -> CallRecord:
        """The row with its cost in US dollars and the prices' version, where they are known."""
        if record.cost is not None:
            return record
        dollars, table = self.cost(
            record.api, record.model, record.host, _usage(record), record.tier, record.ts
        )
        return record if dollars is None else replace(record, cost=dollars, prices=table)

    def unit_prices(self, api: str, model: str, ts: float = _NEWEST) -> tuple[float, float] | None:
        """US dollars per input and per output token of a plain, short call; ``None`` if unknown.

        ``ts`` (Unix seconds) selects historic prices; by default the newest.
        """
        own = self._own.get(model)
        if own is not None:
            return float(own.fresh), float(own.plain)
        way = _way(api, model, "", int(ts // _DAY))
        found = None if way is None else _calculated(model, way, Usage(1, 1), None, ts)
        return None if found is None else (float(found.input_price), float(found.output_price))

    def rates(self, api: str, model: str, host: str, tier: str | None, ts: float) -> Rates | None:
        """US dollars of one token of each kind at ``ts`` (Unix seconds).

        ``None`` where the price is unknown, or no plain sum of tokens.
        """
        own = self._own.get(model)
        if own is not None:
            return own
        way = _way(api, model, bare_host(host), int(ts // _DAY))
        return None if way is None else _rates(model, way, tier, int(ts // _QUARTER))

    def _total(
        self, api: str, model: str, host: str, usage: Usage, tier: str | None, ts: float
    ) -> Decimal | None:
        """US dollars of one attempt; ``None`` where unknown."""
        if usage.input_tokens is None or usage.output_tokens is None:
            return None
        own = self._own.get(model)
        if own is not None:
            return own.total(usage)
        way = _way(api, model, bare_host(host), int(ts // _DAY))
        if way is None:
            return None
        rates = _rates(model, way, tier, int(ts // _QUARTER))
        total = None if rates is None else rates.total(usage)
        if total is None:
            found = _calculated(model, way, usage, tier, ts)
            total = None if found is None else found.total_price
        return total


LISTED: Final = Prices()
"""The library's prices alone."""


def prices_of(settings: Settings) -> Prices:
    """The prices in force under these settings."""
    return Prices({name: Tariff(**own.model_dump()) for name, own in settings.prices.items()})


@cache
def version() -> str:
    """The version of the prices. The first call loads the library (0.5 s)."""
    from genai_prices import __version__

    return f"genai-prices {__version__}"


@lru_cache(maxsize=64)
def dearest(api: str, day: int) -> tuple[Decimal, Decimal]:
    """The dearest known price of an input and of an output token of an API's own provider.

    In US dollars, on a day (days since 1970). Each the dearest by itself, of whatever model; of
    whatever provider where the API is nobody's that is known.
    """
    from genai_prices.data_snapshot import get_snapshot

    name = api.partition(".")[0]
    its = [one for one in get_snapshot().providers if one.id == name]
    return _dearest(its, float(day * _DAY)) if its else _dearest_of_all()


@cache
def _dearest_of_all() -> tuple[Decimal, Decimal]:
    from genai_prices.data_snapshot import get_snapshot

    return _dearest(get_snapshot().providers, _NEWEST)


def _dearest(providers: Iterable[Any], ts: float) -> tuple[Decimal, Decimal]:
    found = [
        _calculated(model.id, (("provider_id", one.id),), Usage(1000, 1000), None, ts)
        for one in providers
        for model in one.models
    ]
    return (
        max(one.input_price for one in found if one is not None) / 1000,
        max(one.output_price for one in found if one is not None) / 1000,
    )


def _usage(record: CallRecord) -> Usage:
    return Usage(
        record.input_tokens,
        record.output_tokens,
        record.reasoning_tokens,
        record.cache_read_tokens,
        record.cache_write_tokens,
    )


@lru_cache(maxsize=1024)
def _way(api: str, model: str, host: str, day: int) -> Way | None:
    """How to name a model to the library so that it knows it; ``None`` if it does not.

    The host says best who bills; then the API's own provider; then the model's name alone,
    which is no evidence on a local host, where anything is served under any name.
    """
    own: Way = (("provider_id", api.partition(".")[0]),)
    ways: list[Way] = [own]
    if host and not host.startswith(_LOCAL):
        ways = [(("provider_api_url", f"https://{host}"),), own, ()]
    ts = float(day * _DAY)
    return next((way for way in ways if _calculated(model, way, Usage(1, 1), None, ts)), None)


@lru_cache(maxsize=1024)
def _rates(model: str, way: Way, tier: str | None, quarter: int) -> Rates | None:
    ts = float(quarter * _QUARTER)
    return rates_by(lambda usage: _calculated(model, way, usage, tier, ts))


def _calculated(model: str, way: Way, usage: Usage, tier: str | None, ts: float) -> Any:
    """The library's calculation, or ``None`` where it has no price or the usage is impossible."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    try:
        return calc_price(
            Tokens(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                output_reasoning_tokens=usage.reasoning_tokens,
                cache_read_tokens=usage.cache_read_tokens,
                cache_write_tokens=usage.cache_write_tokens,
            ),
            model,
            genai_request_timestamp=datetime.fromtimestamp(ts, tz=UTC),
            price_context={"service_tier": tier, "speed": tier} if tier else None,
            **dict(way),
        )
    except (LookupError, ValueError):
        return None
