"""``budget-proxy import``: recorded calls become history, so that evidence is there at once.

Every row is classified as a call would be. What is stored is what the history stores of any
call: no text. A row's id is a keyed hash of its content, so that a file can be imported twice
and an interrupted import repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from budget_proxy.cli.options import AsJson, StoreUrl
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from budget_proxy.predict.similarity import Similarity
    from budget_proxy.store.base import Store
    from budget_proxy.store.recorded import RecordedCall
    from budget_proxy.types import CallRecord, Characteristics

API: Final = "import"
_FORM: Final = "openai.chat"  # recordings hold messages in this form
_UNNAMED: Final = "unknown"
_BATCH: Final = 500
_EXAMPLES: Final = 20
_T = TypeVar("_T")


@dataclass(slots=True)
class Summary:
    """What an import did; ``reasons`` are the first 20 of the rows that were skipped."""

    file: str
    store: str
    dry_run: bool
    read: int = 0
    written: int = 0
    duplicates: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def skip(self, where: str, reason: str) -> None:
        """Count a row that could not be taken."""
        self.skipped += 1
        if len(self.reasons) < _EXAMPLES:
            self.reasons.append(f"{where}: {reason}")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="import")(import_)


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Recorded calls: .jsonl or .jsonl.gz.")
    ],
    *,
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="NAME", help="File every row under this agent."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and classify, but write no row.")
    ] = False,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take recorded calls into the history. Rows already there are skipped."""
    from budget_proxy.cli.options import open_history
    from budget_proxy.cli.output import print_json
    from budget_proxy.settings import load
    from budget_proxy.store.recorded import read_recorded

    history = open_history(store)
    summary = Summary(str(file), history.url, dry_run)
    try:
        taken = _Import(history, load().window, agent, summary)
        try:
            for row, call in _watched(file, read_recorded(file, on_bad=taken.bad)):
                taken.take(row, call)
        finally:
            taken.write()
    finally:
        history.close()
    if as_json:
        print_json(asdict(summary))
    else:
        _show(summary)
    if summary.skipped and summary.skipped == summary.read:
        raise typer.Exit(1)  # nothing of it could be taken


class _Import:
    """One import under way: rows in, batches out."""

    def __init__(self, history: Store, window: int, agent: str | None, summary: Summary) -> None:
        from budget_proxy.engine import features_of, observation_of
        from budget_proxy.ledger.settlement import has_length
        from budget_proxy.predict.similarity import Similarity

        self._history = history
        self._agent = agent
        self._summary = summary
        self._salt = bytes.fromhex(history.meta("salt", secrets.token_hex(32)))
        self._batch: dict[str, CallRecord] = {}
        self._memory: Similarity = Similarity(window=window)
        for row in history.recent(window):
            if has_length(row):
                self._memory.learn_one(features_of(row), observation_of(row), row.call_id)

    def bad(self, line: int, reason: str) -> None:
        """Count a line that could not be read."""
        self._summary.read += 1
        self._summary.skip(f"line {line}", reason)

    def take(self, row: int, call: RecordedCall) -> None:
        """Take one row (counted from 0) into the batch, unless it is there already."""
        self._summary.read += 1
        if call.output_tokens is None:
            self._summary.skip(f"row {row + 1}", "no output_tokens, so nothing to learn")
            return
        identifier = self._identify(call)
        if identifier in self._batch or any(self._history.calls(call_id=identifier)):
            self._summary.duplicates += 1
            return
        self._batch[identifier] = self._record(identifier, call)
        if len(self._batch) == _BATCH:
            self.write()

    def _identify(self, call: RecordedCall) -> str:
        import orjson

        from budget_proxy.policy.rollout import keyed_hash

        return keyed_hash(self._salt, "import", orjson.dumps(call)).hex()

    def _record(self, identifier: str, call: RecordedCall) -> CallRecord:
        from budget_proxy.engine import DEFAULT_AGENT, features_of, observation_of
        from budget_proxy.ledger.settlement import has_length
        from budget_proxy.policy.rollout import pseudonym

        kind = _classified(identifier, call)
        session = pseudonym(self._salt, "import", call.session) if call.session else None
        agent = self._agent or call.agent or DEFAULT_AGENT
        record = replace(_row(identifier, call, kind), agent=agent, session=session)
        features = features_of(record)
        record = replace(record, novelty=self._memory.novelty(features))
        if has_length(record):
            self._memory.learn_one(features_of(record), observation_of(record), identifier)
        return record

    def write(self) -> None:
        """Write the batch."""
        if self._batch and not self._summary.dry_run:
            self._history.append(list(self._batch.values()))
        self._summary.written += len(self._batch)
        self._batch.clear()


def _classified(identifier: str, call: RecordedCall) -> Characteristics:
    from budget_proxy.classify.characteristics import classify_call
    from budget_proxy.wire import DIALECTS, Context

    seen = DIALECTS[_FORM].read({"messages": list(call.messages)}, Context(identifier, call.ts))
    return classify_call(seen.messages, None, images=seen.images)


def _row(identifier: str, call: RecordedCall, kind: Characteristics) -> CallRecord:
    """The row of a recorded call; what contradicts itself counts as absent.

    ``input_chars`` stays 0: recorded messages may be cut, or lack their system prompt, so
    that they do not tell how many characters make a token.
    """
    from budget_proxy.types import CallRecord

    record = CallRecord(
        ts=call.ts,
        api=API,
        model=call.model or _UNNAMED,
        call_id=identifier,
        task=call.task,
        **kind.columns(),
        input_estimate=call.input_tokens,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        reasoning_tokens=_within(call.reasoning_tokens, call.output_tokens),
        cache_read_tokens=_within(call.cached_tokens, call.input_tokens),
        finish_reason="length" if call.truncated else call.finish_reason or "stop",
        truncated=call.truncated,
        ceiling=call.max_tokens or None,
        reason="imported",
        score=call.quality,
        instance=API,
    )
    if call.cost_usd is not None:
        return replace(record, cost=call.cost_usd, prices="recorded")
    return _priced(record)


def _priced(record: CallRecord) -> CallRecord:
    """The record with its cost by whichever provider lists the model under that name."""
    from budget_proxy.wire import DIALECTS
    from budget_proxy.wire.prices import priced

    for api in DIALECTS:
        found = priced(replace(record, api=api))
        if found.cost is not None:
            return replace(found, api=record.api)
    return record


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None or part <= whole else None


def _watched(file: Path, rows: Iterable[_T]) -> Iterator[_T]:
    """The rows, with a progress bar where someone watches."""
    from budget_proxy.cli.output import console

    out = console(stderr=True)
    if not out.is_terminal:
        yield from rows
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from budget_proxy.store.recorded import read_recorded

    total = None
    with suppress(InvalidInput):  # the import itself reports it
        total = sum(1 for _ in read_recorded(file, on_bad=lambda _line, _reason: None))
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=out) as progress:
        yield from progress.track(rows, total=total)


def _show(summary: Summary) -> None:
    from budget_proxy.cli.output import console, whole

    out = console()
    verb = "would be written" if summary.dry_run else "written"
    out.print(
        f"{whole(summary.read)} rows read, {whole(summary.written)} {verb}, "
        f"{whole(summary.duplicates)} already there, {whole(summary.skipped)} skipped.\n"
        f"History: {summary.store}",
        soft_wrap=True,
    )
    for reason in summary.reasons:
        out.print(f"  skipped {reason}", soft_wrap=True)
    if summary.skipped > len(summary.reasons):
        out.print(f"  and {whole(summary.skipped - len(summary.reasons))} more")
