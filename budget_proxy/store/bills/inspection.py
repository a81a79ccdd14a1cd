"""What is wrong, or odd, with the rows of an export: counts and the first examples by kind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import orjson

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed
from budget_proxy.store.bills.base import KINDS, Foreign, Format
from budget_proxy.store.bills.reading import is_askew
from budget_proxy.store.imports.inspection import EXAMPLES, Finding
from budget_proxy.store.source import Row


class Inspection:
    """Looks at the rows of files as they pass."""

    def __init__(self) -> None:
        self._findings: dict[str, Finding] = {}
        self._seen: set[bytes] = set()

    def begin(self) -> None:
        """A file begins: its rows are told apart from each other alone."""
        self._seen.clear()

    def is_new(self, row: Row, where: str) -> bool:
        """Whether no row before it in its file is the very same."""
        digest = hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).digest()[:16]
        if digest in self._seen:
            self.note("repeated", where)
            return False
        self._seen.add(digest)
        return True

    def fault(self, error: InvalidInput, where: str) -> None:
        """Note a row that cannot be taken."""
        self.note("currency" if isinstance(error, Foreign) else "malformed", where, str(error))

    def look(self, form: Format, row: Row, lines: Iterable[Billed], where: str) -> None:
        """Note what is odd in a row that is taken."""
        if is_askew(row, form.starts, form.ends):
            self.note("zone", where)
        if any(line.amount is not None and line.amount < 0 for line in lines):
            self.note("credit", where)

    def note(self, kind: str, where: str, what: str = "") -> None:
        """Count a row of a kind."""
        kept, description = KINDS[kind]
        found = self._findings.setdefault(kind, Finding(kind, description, kept))
        found.rows += 1
        if len(found.examples) < EXAMPLES:
            found.examples.append(f"{where}: {what}" if what else where)

    def findings(self) -> list[Finding]:
        """All that was found, in the order of KINDS."""
        return [self._findings[kind] for kind in KINDS if kind in self._findings]


class Added:
    """Lines that have all in common but their numbers, as one line."""

    def __init__(self) -> None:
        self._lines: dict[Billed, Billed] = {}

    def add(self, line: Billed) -> None:
        """Add a line's numbers to those of its like."""
        key = replace(line, amount=None, tokens=None, requests=None)
        known = self._lines.get(key, key)
        self._lines[key] = replace(
            key,
            amount=_added(known.amount, line.amount),
            tokens=_added(known.tokens, line.tokens),
            requests=_added(known.requests, line.requests),
        )

    def lines(self) -> list[Billed]:
        """All of them, in the order in which they began."""
        return list(self._lines.values())


def _added(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other
