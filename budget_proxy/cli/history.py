"""``budget-proxy history``: looking after the history.

``compact`` lets old calls go and keeps their sums, so that millions of calls stay bounded while
reports go on telling the same totals.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli.options import AsJson, StoreUrl, open_history, seconds_of
from budget_proxy.cli.progress import Bar, progress_place
from budget_proxy.cli.retention import DAY, Share, foldable, shares_of
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from rich.progress import Progress

    from budget_proxy.settings import Settings
    from budget_proxy.store.base import Store

_LONGEST_PAUSE: Final = 0.1


@dataclass(slots=True)
class Compaction:
    """What a compaction did: calls ``folded`` into ``sums`` rows, and bytes given back.

    ``before`` is the time before which calls were folded; ``None``: of any age.
    """

    store: str
    dry_run: bool
    before: float | None
    folded: int = 0
    kept: int = 0
    sums: int = 0
    bytes_freed: int = 0


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    group = typer.Typer(help="Look after the history.", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_group)
    group.command(name="compact")(compact)
    app.add_typer(group, name="history")


def _group() -> None:
    """Look after the history."""


def compact(
    *,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="SPAN",
            help="Fold calls older than that, such as 90d or 12w. Else keep_days and keep_calls.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell how many calls it would be, and stop.")
    ] = False,
    vacuum: Annotated[
        bool,
        typer.Option(
            "--vacuum", help="Write the whole file anew at the end; other writers wait for it."
        ),
    ] = False,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Fold old calls into sums by day; reports keep their totals, and the disk gets room back."""
    from budget_proxy.cli.output import print_json
    from budget_proxy.settings import load

    settings, now = load(), time.time()
    age = _age(older_than, settings)
    before = None if age is None else now - age
    history = open_history(store, existing=True)
    try:
        shares = shares_of(history, settings, before)
        found = Compaction(history.url, dry_run, before)
        if dry_run:
            found.folded = foldable(history, shares)
        else:
            with progress_place() as place:
                found.folded = sum(_fold(history, share, place) for share in shares)
                found.bytes_freed = _reclaim(history, vacuum=vacuum)
        counts = history.counts()
        found.kept = counts["calls"] - (found.folded if dry_run else 0)
        found.sums = counts["sums"]
    finally:
        history.close()
    if as_json:
        print_json(asdict(found))
    else:
        _show(found)


def _age(older_than: str | None, settings: Settings) -> float | None:
    """The age in seconds from which on calls are folded. Raises InvalidInput."""
    if older_than is not None:
        age = seconds_of(older_than)
        if age < DAY:
            raise InvalidInput(
                f"--older-than is at least 1d, since sums are by day, not {older_than}"
            )
        return age
    if settings.keep_days is None and settings.keep_calls is None:
        raise InvalidInput(
            "say what may be folded: --older-than 90d, or keep_days or keep_calls in the settings"
        )
    return None if settings.keep_days is None else settings.keep_days * DAY


def _fold(history: Store, share: Share, place: Progress | None) -> int:
    """Fold a share in batches, and leave others as much time to write as each has taken."""
    bar = Bar(place, "Folding", history.foldable(share.until, share.before))
    done = 0
    while True:
        start = time.perf_counter()
        count = history.fold(share.until, share.before)
        if not count:
            return done
        done += count
        bar.show(done)
        time.sleep(min(time.perf_counter() - start, _LONGEST_PAUSE))


def _reclaim(history: Store, *, vacuum: bool) -> int:
    """Give room back piece by piece, or by writing the file anew; the bytes."""
    freed = 0
    while piece := history.reclaim():
        freed += piece
        time.sleep(0.005)  # for others to write
    return freed + (history.vacuum() if vacuum else 0)


def _show(found: Compaction) -> None:
    from budget_proxy.cli.output import console, moment, short, whole

    out = console()
    verb = "would be folded" if found.dry_run else "folded"
    which = "" if found.before is None else f" before {moment(found.before)} UTC"
    out.print(
        f"{whole(found.folded)} calls{which} {verb}, {whole(found.kept)} stay as they are.\n"
        f"Sums: {whole(found.sums)} rows. Given back to the disk: "
        f"{short(found.bytes_freed)}B.\nHistory: {found.store}",
        soft_wrap=True,
    )
