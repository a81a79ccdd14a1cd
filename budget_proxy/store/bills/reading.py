"""Reading what exports write: exact amounts, counts, days, and pages of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.bills.base import Foreign, results
from budget_proxy.store.imports import value
from budget_proxy.store.source import OnBad, Row, Source, kind, parsed

_MOST: Final = Decimal(1_000_000_000)
_MOST_TOKENS: Final = 10**15
_MONEY: Final = re.compile(r"(-?)\$?(\d{1,3}(?:,\d{3})+|\d*)(\.\d*)?([eE][-+]?\d+)?")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_HALF_DAY: Final = 43_200.0
_LONGEST: Final = 90_000.0
"""Seconds of a day on which clocks are set back."""


def rows_of(source: Source, on_bad: OnBad) -> Iterator[tuple[int, Row]]:
    """Each row with its number; results are taken out of their pages and buckets.

    ``on_bad`` gets what is none; and of the last page, that there are more where it says so.
    """
    more: tuple[int, bool] = (0, False)
    for number, found in source.texts():
        try:
            row = found if isinstance(found, dict) else parsed(found)
        except InvalidInput as error:
            on_bad(number, str(error))
            continue
        page = row.get("data")
        if not isinstance(page, list):
            yield from ((number, one) for one in results(row))
            continue
        more = (number, row.get("has_more") is True)
        for bucket in page:
            if isinstance(bucket, dict):
                yield from ((number, one) for one in results(bucket))
            else:
                on_bad(number, f"a JSON object is needed, not {kind(bucket)}")
    if more[1]:
        yield more[0], {"has_more": True}


def money(row: Mapping[str, Any], *names: str) -> Decimal | None:
    """An amount, exactly as it is written; ``None`` where there is none. Raises InvalidInput."""
    found = value.first(row, *names)
    if found is None:
        return None
    text = "" if isinstance(found, bool | list | dict) else str(found).strip()
    match = _MONEY.fullmatch(text)
    if match is None or not any(sign.isdigit() for sign in text):
        raise InvalidInput(f"{names[0]} must be an amount such as 12.34, not {kind(found)}")
    try:
        amount = Decimal(text.replace("$", "").replace(",", ""))
    except InvalidOperation:
        raise InvalidInput(f"{names[0]} must be an amount such as 12.34") from None
    if abs(amount) > _MOST:
        raise InvalidInput(f"{names[0]} is beyond {_MOST:,} dollars")
    return amount


def count(row: Mapping[str, Any], *names: str) -> int | None:
    """How many tokens or requests; ``None`` where that is not told. Raises InvalidInput."""
    found = value.whole(row, *names)
    if found is not None and found > _MOST_TOKENS:
        raise InvalidInput(f"{names[0]} is beyond {_MOST_TOKENS:,}")
    return found


def in_dollars(row: Mapping[str, Any], *names: str) -> None:
    """Raise Foreign where a row names another currency than US dollars."""
    currency = value.text(row, *names)
    if currency is not None and currency.upper() != "USD":
        name = "".join(filter(str.isalpha, currency))[:12].upper() or "an unknown currency"
        raise Foreign(f"an amount in {name}: only US dollars can be compared")


def day_of(row: Mapping[str, Any], starts: tuple[str, ...], ends: tuple[str, ...]) -> str:
    """The day (UTC) that a row is about: that in which most of its time lies.

    Raises InvalidInput where there is none, or the row is about several days.
    """
    begin = _moment(row, starts)
    if begin is None:
        raise InvalidInput(f"{starts[0]} is missing")
    end = _moment(row, ends)
    width = 0.0 if end is None else end - begin
    if not 0 <= width <= _LONGEST:
        raise InvalidInput("a row about another span than a day or less: export it by day")
    if not 0 <= begin <= _LATEST:
        raise InvalidInput(f"{starts[0]} is no time of this century")
    middle = begin + (width / 2 if width > _HALF_DAY else 0)
    return datetime.fromtimestamp(middle, UTC).strftime("%Y-%m-%d")


_LATEST: Final = 4_102_444_800.0


def is_askew(row: Mapping[str, Any], starts: tuple[str, ...], ends: tuple[str, ...]) -> bool:
    """Whether a row is about a day that does not begin at midnight UTC."""
    begin, end = _moment(row, starts), _moment(row, ends)
    return begin is not None and end is not None and end - begin > _HALF_DAY and begin % 86_400 != 0


def _moment(row: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    found = value.text(row, *names)
    if found is not None and _DAY.fullmatch(found):
        try:
            return datetime.strptime(found, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise InvalidInput(f"{names[0]} must be a day such as 2026-10-31") from None
    return value.moment(row, *names)
