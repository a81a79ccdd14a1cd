"""Providers' exports of what they billed: one reader an export, all giving Billed lines.

A new one is a file beside these and its entry in FORMATS.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.bills.anthropic_costs import AnthropicCosts
from budget_proxy.store.bills.anthropic_usage import AnthropicUsage
from budget_proxy.store.bills.base import Format
from budget_proxy.store.bills.openai_costs import OpenAICosts
from budget_proxy.store.bills.openai_usage import OpenAIUsage
from budget_proxy.store.bills.plain import Plain
from budget_proxy.store.bills.reading import rows_of
from budget_proxy.store.source import Source

__all__ = ["AUTO", "FORMATS", "Format", "chosen"]

AUTO: Final = "auto"
FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        one.name: one
        for one in (OpenAICosts(), OpenAIUsage(), AnthropicCosts(), AnthropicUsage(), Plain())
    }
)
"""Every export by its name, in the order in which they are tried."""

_LOOKED_AT: Final = 1_000
_NAMES_SHOWN: Final = 12


def chosen(name: str, source: Source) -> Format:
    """The export of that name; with ``auto``, by the file's first rows. Raises InvalidInput."""
    if name != AUTO:
        if name not in FORMATS:
            known = ", ".join((AUTO, *FORMATS))
            raise InvalidInput(f"--format must be one of {known}, not {name!r}")
        return FORMATS[name]
    names: list[str] = []
    for _, row in islice(rows_of(source, lambda *_: None), _LOOKED_AT):
        for one in FORMATS.values():
            if one.recognises(row):
                return one
        names = names or sorted(field[:30] for field in row)
    seen = ", ".join(names[:_NAMES_SHOWN]) or "nothing that can be read"
    raise InvalidInput(
        f"the export {source.path} is of no known kind: its rows have {seen}. Known are "
        f"{', '.join(FORMATS)}: choose one with --format, or see docs/billing.md"
    )
