"""OpenAI's costs: ``/v1/organization/costs``, and the table that the dashboard exports of it.

Fields by openai-python's ``types/admin/organization/usage_costs_response.py``: buckets of a day
with ``results`` of ``amount`` (value, currency), ``line_item``, ``project_id``, ``quantity``,
``quantity_unit``. Tables have the same, flat (``amount_value``, ``amount_currency``). Amounts are
texts of many digits in some answers. Line items are such as ``gpt-5-mini-2025-08-07, cached
input`` or ``gpt-6-astra, input_tokens``; another surface stands before a bar (``evals | ...``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed, Kind, nano
from budget_proxy.store.bills.base import EMPTY
from budget_proxy.store.bills.reading import count, day_of, in_dollars, money
from budget_proxy.store.imports import value
from budget_proxy.store.source import Row

PROVIDER: Final = "openai"
STARTS: Final[tuple[str, ...]] = ("start_time", "start_time_iso")
ENDS: Final[tuple[str, ...]] = ("end_time", "end_time_iso")
_RESULT: Final = "organization.costs.result"
_KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "input": "input", "uncached input": "input", "cached input": "cache_read",
        "input cached": "cache_read", "cache read": "cache_read", "cache reads": "cache_read",
        "cache write": "cache_write", "cache writes": "cache_write",
        "input cache write": "cache_write", "output": "output",
    }
)  # fmt: skip
_TIERS: Final = ("batch", "flex", "priority")
_UNITS: Final = MappingProxyType({"tokens": 1, "1000_tokens": 1000})


class OpenAICosts:
    """Buckets of costs, or the rows of their table."""

    name = "openai-costs"
    starts = STARTS
    ends = ENDS

    def recognises(self, row: Row) -> bool:
        """By an amount with its currency, or the name of the result."""
        return row.get("object") == _RESULT or "amount_value" in row or _has_amount(row)

    def lines(self, row: Row) -> Iterator[Billed]:
        """The line that a result is; an empty bucket says that nothing was billed."""
        day = day_of(row, self.starts, self.ends)
        flat = {**row, **_flat(row.get("amount"))}
        in_dollars(flat, "amount_currency")
        amount = money(flat, "amount_value")
        item = value.text(row, "line_item")
        if amount is None:
            if EMPTY in row or item is None:
                yield Billed(PROVIDER, "cost", day, amount=0)
                return
            raise InvalidInput("amount_value is missing")
        model, kind, tier = told(item)
        yield Billed(
            PROVIDER, "cost", day,
            model=model,
            kind=kind,
            item=item or "",
            tier=tier,
            project=value.text(row, "project_id", "project_name") or "",
            amount=nano(amount),
            tokens=_tokens(row, kind),
        )  # fmt: skip


def told(item: str | None) -> tuple[str, Kind, str]:
    """The model, kind of tokens and tier that a line item names."""
    if item is None:
        return "", "all", ""
    surface, bar, rest = item.rpartition("|")
    name, comma, what = rest.strip().rpartition(",")
    kind = _KINDS.get(what.strip().lower().removesuffix("_tokens").replace("_", " "))
    tiers = [tier for tier in _TIERS if tier in f"{surface} {name}".lower().split()]
    if bar and not tiers:  # evals and the like: no calls of ours
        return "", "other", ""
    if not comma:
        return (rest.strip(), "all", "") if " " not in rest.strip() else ("", "other", "")
    model, _, modality = name.strip().partition(" ")
    if kind is None or (modality and modality.lower() not in {*_TIERS, "text"}):
        return model, "other", tiers[0] if tiers else ""
    return model, kind, tiers[0] if tiers else ""


def _flat(amount: Any) -> Row:
    found = value.fields(amount)
    return {f"amount_{name}": item for name, item in found.items() if name in {"value", "currency"}}


def _has_amount(row: Row) -> bool:
    return isinstance(row.get("amount"), dict) and "start_time" in row


def _tokens(row: Row, kind: Kind) -> int | None:
    """The quantity, where it is one of tokens; older exports do not name its unit."""
    unit = value.text(row, "quantity_unit") or "tokens"
    if kind in {"all", "other"} or unit not in _UNITS:
        return None
    found = value.number(row, "quantity")
    return None if found is None else count({"quantity": found * _UNITS[unit]}, "quantity")
