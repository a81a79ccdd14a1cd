"""Calls from other systems' exports: one reader a format, all giving RecordedCalls.

A new format is a file beside these and its entry in FORMATS.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.imports.base import Format
from budget_proxy.store.imports.claude_code import ClaudeCode
from budget_proxy.store.imports.langfuse import Langfuse
from budget_proxy.store.imports.litellm import LiteLLM
from budget_proxy.store.imports.openai_usage import OpenAIUsage
from budget_proxy.store.imports.recorded import Recorded
from budget_proxy.store.source import Row, Source

__all__ = ["AUTO", "FORMATS", "Format", "chosen", "detected"]

AUTO: Final = "auto"
FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {one.name: one for one in (Recorded(), LiteLLM(), Langfuse(), OpenAIUsage(), ClaudeCode())}
)
"""Every format by its name, in the order in which they are tried."""

_LOOKED_AT: Final = 200
_NAMES_SHOWN: Final = 12


def chosen(name: str, source: Source) -> Format:
    """The format of that name; with ``auto``, the file's own. Raises InvalidInput."""
    if name == AUTO:
        return detected(source)
    if name not in FORMATS:
        raise InvalidInput(f"--format must be one of {AUTO}, {', '.join(FORMATS)}, not {name!r}")
    return FORMATS[name]


def detected(source: Source) -> Format:
    """The format of a file by its first rows. Raises InvalidInput naming what was seen."""
    bad: list[str] = []
    seen: Row = {}
    for _, row in islice(source.rows(lambda _, reason: bad.append(reason)), _LOOKED_AT):
        for one in FORMATS.values():
            if one.recognises(row):
                return one
        seen = seen or row
    if not seen and not bad:
        return FORMATS["recorded"]  # an empty file is an empty recording
    raise InvalidInput(
        f"the format of {source.path} is not known: {_seen(seen, bad)}. Formats are "
        f"{', '.join(FORMATS)}: choose one with --format, or see docs/import.md"
    )


def _seen(row: Row, bad: list[str]) -> str:
    if not row:
        return f"no row of it can be read (the first: {bad[0]})"
    names = sorted(name[:30] for name in row)
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"its rows have the fields {', '.join(names[:_NAMES_SHOWN])}{more}"
