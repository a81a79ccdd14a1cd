"""``budget-proxy import``: calls that others recorded become history, so that evidence is there.

Every row is classified as a call would be. What is stored is what the history stores of any
call: no text. A row's id is a keyed hash of what tells the call, so that a file can be imported
twice and an interrupted import repeated. Rows are written in order of time when all have been
read, which is the order that forecasts learn in.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli import exports
from budget_proxy.cli.options import AsJson, StoreUrl
from budget_proxy.cli.progress import Bar, progress_place
from budget_proxy.errors import InvalidInput
from budget_proxy.store.sums import DAY, bucket_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from budget_proxy.settings import Settings
    from budget_proxy.store.base import Store
    from budget_proxy.store.imports import Format
    from budget_proxy.store.imports.inspection import MaxOutput
    from budget_proxy.store.imports.spool import Spool
    from budget_proxy.store.recorded import RecordedCall
    from budget_proxy.store.source import Source
    from budget_proxy.types import CallRecord

_BATCH: Final = 500
_SEEN_WITHIN: Final = 2.0
"""Seconds by which another system's clock may tell a call's time apart from ours."""

_PATTERNS: Final = ("*.jsonl", "*.jsonl.gz")


@dataclass(slots=True)
class Summary(exports.Summary):
    """What an import did. ``skipped`` rows are faulty; ``passed`` ones are no answered calls."""

    duplicates: int = 0
    passed: int = 0


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="import")(import_)


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Exports of calls, or directories of .jsonl files."),
    ],
    *,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="auto (by content), recorded, litellm, langfuse, openai-usage or claude-code.",
        ),
    ] = "auto",
    agent: Annotated[
        str | None,
        typer.Option("--agent", metavar="NAME", help="File every row under this agent."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, but write no row.")
    ] = False,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take recorded calls into the history. Rows already there are skipped."""
    from budget_proxy.cli.options import open_history
    from budget_proxy.cli.output import print_json
    from budget_proxy.settings import load
    from budget_proxy.store.imports import chosen
    from budget_proxy.store.imports.spool import Spool
    from budget_proxy.store.source import Source

    sources = [Source(path) for file in files for path in _paths(file)]
    formats = [chosen(format_, source) for source in sources]  # before anything is read
    history = open_history(store)
    summary = Summary(history.url, dry_run)
    try:
        with Spool() as spool, progress_place() as progress:
            reading = exports.Reading(sources, progress)
            taken = _Import(history, spool, load(), agent, summary, reading)
            broken = _read(taken, reading, sources, formats)
            taken.write(progress)
            if summary.written and not dry_run:
                _fit(history.url, progress)
        if broken is not None:
            raise InvalidInput(f"{broken}; rows before it: {summary.written} {summary.verb}")
    finally:
        history.close()
    if as_json:
        print_json(asdict(summary))
    else:
        _show(summary)
    if summary.read and summary.skipped + summary.passed == summary.read:
        raise typer.Exit(1)  # nothing of it could be taken


def _paths(file: Path) -> list[Path]:
    """The file; of a directory, the transcripts and recordings beneath it."""
    if not file.is_dir():
        return [file]
    found = sorted(path for pattern in _PATTERNS for path in file.rglob(pattern))
    if not found:
        raise InvalidInput(f"the recording {file} cannot be read: no .jsonl file is beneath it")
    return found


def _read(
    taken: _Import, reading: exports.Reading, sources: list[Source], formats: list[Format]
) -> InvalidInput | None:
    """Read every file; the error of one that breaks off ends it, but loses nothing before it."""
    for source, format_ in zip(sources, formats, strict=True):
        try:
            for _ in reading.steps(source, taken.calls(source, format_)):
                pass
        except InvalidInput as error:
            return error
    return None


def _fit(url: str, progress: Progress | None) -> None:
    """Have the strategy fitted to the new rows, so that the next call finds it ready."""
    from budget_proxy.assemble import Engine

    bar = Bar(progress, "Fitting", 1)
    with Engine.open(url) as engine:
        engine.fitted()
    bar.show(1)


class _Import:
    """One import under way: calls in, to the spool; then rows out, in order, to the history."""

    def __init__(
        self,
        history: Store,
        spool: Spool,
        settings: Settings,
        agent: str | None,
        summary: Summary,
        reading: exports.Reading,
    ) -> None:
        from budget_proxy.store.imports.inspection import Inspection
        from budget_proxy.wire.prices import prices_of

        self._history = history
        self._spool = spool
        self._window = settings.window
        self._agent = agent
        self._summary = summary
        self._reading = reading
        self._prices = prices_of(settings)
        self._salt = bytes.fromhex(history.meta("salt", secrets.token_hex(32)))
        self._inspection = Inspection(time.time(), _max_output(settings))
        self._folded = set(history.folded())

    def calls(self, source: Source, format_: Format) -> Iterator[None]:
        """Take a file's calls into the spool, one a step."""
        self._summary.files[str(source.path)] = format_.name
        rows = source.rows(lambda number, reason: self.bad(number, InvalidInput(reason)))
        for number, call in format_.calls(rows, self):
            self._summary.read += 1
            self._take(self._reading.place(number), call, format_.name)
            yield

    def bad(self, number: int, error: InvalidInput) -> None:
        """Count a row that could not be read."""
        from budget_proxy.store.imports.inspection import kind_of

        self._summary.read += 1
        self._drop(kind_of(error), self._reading.place(number), str(error))

    def passed(self, number: int, what: str) -> None:
        """Count a row of another kind."""
        self._summary.read += 1
        self._drop("no-call", self._reading.place(number), what)

    def _take(self, where: str, call: RecordedCall, source: str) -> None:
        from budget_proxy.cli.imported import imported

        fault = self._inspection.fault(call)
        if fault is not None:
            self._drop(fault[0], where, fault[1])
            return
        record = imported(call, self._salt, self._prices, source=source, agent=self._agent)
        if not self._is_new(record):
            self._drop("repeated", where)
            return
        if self._is_known(record):
            self._drop("known", where)
            return
        if self._is_folded(record):
            self._drop("folded", where)
            return
        self._inspection.look(call, where)
        self._spool.put(record)

    def _is_new(self, record: CallRecord) -> bool:
        """Whether nothing that was read before is the same call."""
        response = record.response_id
        return self._spool.is_new(record.call_id) and (
            response is None or self._spool.is_new(response)
        )

    def _is_known(self, record: CallRecord) -> bool:
        """Whether the history has the call: imported before, or seen when it was made."""
        from budget_proxy.cli.imported import API

        calls, response = self._history.calls, record.response_id
        if any(calls(call_id=record.call_id)) or (response and any(calls(response_id=response))):
            return True
        alike = calls(
            start=record.ts - _SEEN_WITHIN,
            end=record.ts + _SEEN_WITHIN,
            model=record.model,
            input_tokens=record.input_tokens,
            output_tokens=record.output_tokens,
        )
        return any(row.api != API for row in alike)

    def _is_folded(self, record: CallRecord) -> bool:
        """Whether the call may be in a day's sum, which cannot tell."""
        return (bucket_of(record.ts, DAY), record.agent, record.model) in self._folded

    def _drop(self, kind: str, where: str, what: str = "") -> None:
        from budget_proxy.store.imports.inspection import DUPLICATES

        self._inspection.note(kind, where, what)
        if kind in DUPLICATES:
            self._summary.duplicates += 1
        elif kind == "no-call":
            self._summary.passed += 1
        else:
            self._summary.skipped += 1

    def write(self, progress: Progress | None) -> None:
        """Write what the spool holds, by time, in batches; a dry run only counts it."""
        self._summary.findings = self._inspection.findings()
        count = len(self._spool)
        if self._summary.dry_run:
            self._summary.written = count
            return
        bar = Bar(progress, "Writing", count)
        novelty = _Novelty(self._history, self._window)
        batch: list[CallRecord] = []
        for record in self._spool.ordered():
            batch.append(novelty.told(record))
            if len(batch) == _BATCH:
                self._append(batch)
                bar.show(self._summary.written)
        self._append(batch)
        bar.show(self._summary.written)

    def _append(self, batch: list[CallRecord]) -> None:
        if batch:
            self._history.append(batch)
        self._summary.written += len(batch)
        batch.clear()


class _Novelty:
    """How unlike what came before each row is: the history first, then the rows themselves."""

    def __init__(self, history: Store, window: int) -> None:
        from budget_proxy.predict.recorded import features_of, observation_of
        from budget_proxy.predict.similarity import Similarity

        self._memory = Similarity(window=window)
        for row in history.recent(window):
            if row.has_length:
                self._memory.learn_one(features_of(row), observation_of(row), row.call_id)

    def told(self, record: CallRecord) -> CallRecord:
        """The row with its novelty, which is learned from then on."""
        from budget_proxy.predict.recorded import features_of, observation_of

        record = replace(record, novelty=self._memory.novelty(features_of(record)))
        if record.has_length:
            self._memory.learn_one(features_of(record), observation_of(record), record.call_id)
        return record


def _max_output(settings: Settings) -> MaxOutput:
    """The most output tokens of a model, by our table and the user's own word."""
    from budget_proxy.wire.models import api_of_model, capabilities

    known = {name: model.model_dump(exclude_none=True) for name, model in settings.models.items()}

    @lru_cache(maxsize=1024)
    def most(model: str) -> int | None:
        return capabilities(api_of_model(model) or "", "", model, known).max_output

    return most


def _show(summary: Summary) -> None:
    from budget_proxy.cli.output import whole

    exports.show(
        summary,
        f"{whole(summary.read)} rows read, {whole(summary.written)} {summary.verb}, "
        f"{whole(summary.duplicates)} already there, {whole(summary.skipped)} skipped, "
        f"{whole(summary.passed)} passed over.",
    )
