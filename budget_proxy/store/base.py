"""What a history backend offers. Blocking by design: worker threads and start-up enter it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from budget_proxy.ledger.accounts import Account, Balance, Grant, Open
from budget_proxy.ledger.limits import Limit
from budget_proxy.ledger.runs import Bounds, Extension, RunAccount, RunBudget, RunPage
from budget_proxy.store.alerts import Alert, Event, Mute, Progress, Seen, Watched
from budget_proxy.store.applied import Applied
from budget_proxy.store.billed import Billed, Spent, Taken
from budget_proxy.store.keys import Kept
from budget_proxy.store.pages import Page, Place
from budget_proxy.store.sums import KEYS, SUMMED, Sums
from budget_proxy.types import CallRecord, Fit, Session

KEPT_SIGNALS: Final = 20_000
"""Newest rows whose signals are kept: more than any learner looks back."""

KEPT_FITS: Final = 2
"""Newest fits of a strategy whose content is kept; of the others remains when they were made."""

WITHIN: Final = 3_000
"""Newest rows of a group among which ``newest`` looks."""

Group = tuple[str, str, str]
"""Agent, task type and model."""

Complete = Callable[[CallRecord], CallRecord]
"""Makes of a pending row the one that takes its place."""


class Store(Protocol):
    """The history. Safe to use from several threads; every method may raise StoreError."""

    url: str

    def migrate(self) -> list[str]:
        """Bring the schema up to date; the names of the migrations that were applied."""

    def append(self, records: Sequence[CallRecord]) -> list[int]:
        """Write rows in one transaction; their ids, ascending. Marks their sessions as seen."""

    def settle_late(self, response: str, complete: Complete) -> CallRecord | None:
        """Replace the pending row of a (hashed) response by a newest one, in one transaction.

        The new row; ``None`` where no row of that response is pending (any more).
        """

    def save_sessions(self, sessions: Sequence[Session]) -> None:
        """Write sessions and their guidance; what one (key, id) was given already stays."""

    def session(
        self, key: str, response: str | None = None, identifier: str | None = None
    ) -> Session | None:
        """The newest session under ``key``, or the one that produced ``response``.

        Where neither is there, the newest with the id ``identifier``.
        """

    def recent(self, limit: int) -> list[CallRecord]:
        """The newest ``limit`` rows, oldest first, with the signals that are kept."""

    def since(
        self, row: int, *, besides: str | None = None, limit: int = 10_000
    ) -> list[CallRecord]:
        """Rows with a greater id, oldest first; ``besides`` leaves out one instance's own.

        With the signals that are kept.
        """

    def calls(
        self, *, start: float | None = None, end: float | None = None, **where: Any
    ) -> Iterator[CallRecord]:
        """Rows by time [start, end) and equality of columns, oldest first, streamed."""

    def newest(
        self,
        group: Group,
        limit: int,
        *,
        within: int = WITHIN,
        start: float | None = None,
        known: str | None = None,
        **where: Any,
    ) -> list[CallRecord]:
        """At most ``limit`` rows of an (agent, task type, model), newest first.

        Looked at are the newest ``within`` of the group, so that this takes no longer as the
        history grows; taken are those from ``start`` on, with a value in the column ``known``,
        and equality of the columns in ``where``.
        """

    def page(
        self,
        *,
        before: Place | None = None,
        limit: int = 100,
        start: float | None = None,
        end: float | None = None,
        **where: Any,
    ) -> Page:
        """A page of rows by time [start, end) and equality of columns, newest first.

        ``before`` is where the page before it ended. Takes no longer as the history grows.
        """

    def score(self, call_id: str, score: float) -> bool:
        """Attach a quality score to a call's newest attempt; false if there is no such call."""

    def meta(self, name: str, default: str) -> str:
        """A setting of this installation; set to ``default`` if it was not there (atomic)."""

    def save_applied(self, made: Applied) -> int:
        """Remember a suggestion that was applied; its number."""

    def applied(self, number: int | None = None) -> list[Applied]:
        """The suggestions that were applied, newest first; with ``number`` that one alone."""

    def mark_undone(self, number: int, ts: float) -> bool:
        """Remember when an applied suggestion was undone; false if there is none to undo."""

    def swap_meta(self, name: str, old: str, new: str) -> bool:
        """Change a setting from ``old`` to ``new``; false where it is not ``old`` (atomic)."""

    def save_fit(self, fit: Fit) -> None:
        """Keep a fit, and the content of the newest KEPT_FITS of its strategy."""

    def fits(self, strategy: str, limit: int = 1_000) -> list[Fit]:
        """The newest ``limit`` fits of a strategy, oldest first."""

    def counts(self) -> Mapping[str, int]:
        """Rows by table."""

    def horizon(self, keep: int) -> int:
        """The id of the newest row that is not among the newest ``keep``; 0 if there is none."""

    def foldable(self, until: int, before: float) -> int:
        """How many rows ``fold`` would fold in all."""

    def fold(self, until: int, before: float, *, limit: int = 500) -> int:
        """Let some ``limit`` rows go, in one transaction; how many, 0 when none is left.

        Their sums stay. Those are the oldest with an id up to ``until`` and a time before
        ``before``, but for pending ones that may still be settled (30 days); resends go with
        what they repeat.
        """

    def folded(self) -> list[tuple[int, str, str]]:
        """The (start of the UTC day, agent, model) of which some rows were folded."""

    def sums(
        self,
        *,
        start: float | None = None,
        end: float | None = None,
        by: Sequence[str] = KEYS[:3],
        only: Collection[str] = SUMMED,
        **where: Any,
    ) -> list[Sums]:
        """Sums over rows by time [start, end) and equality of columns, most calls first.

        Told apart ``by`` some of KEYS, one each. ``only`` names the sums that are wanted, where
        many questions are asked: the others may be 0. Exact while the rows are there; of folded
        ones remain quarters of an hour (62 days long), then days (UTC), which count where their
        start lies in the span. Questions about other columns than KEYS look at every row, and
        leave folded ones out.
        """

    def course(
        self,
        edges: Sequence[float],
        *,
        by: Sequence[str] = KEYS[:3],
        only: Collection[str] = SUMMED,
        apart: Sequence[tuple[str, ...]] | None = None,
        **where: Any,
    ) -> list[list[Sums]]:
        """``sums`` of each span of time between two ``edges``, which ascend; all at once.

        Told ``apart`` are all groups, or these (what ``by`` names of them): the rest is OTHER.
        """

    def reclaim(self, pages: int = 1000) -> int:
        """Give a piece of the room that folded rows left back to the disk; its bytes, 0 at last."""

    def vacuum(self) -> int:
        """Write the file anew without free room; the bytes that gave. Others wait meanwhile."""

    def seen(self, after: int, *, until: int | None = None, limit: int = 10_000) -> list[Seen]:
        """What a watch sees of rows with an id in (after, until], oldest first."""

    def watched(self) -> Watched:
        """Where the watch over this history has got."""

    def save_watch(self, progress: Progress) -> bool:
        """Save how far a watch has got and what became of alerts, in one transaction.

        False, and nothing is saved, where another process was faster.
        """

    def alerts(self, *, every: bool = False, limit: int = 1_000) -> list[Alert]:
        """The newest open alerts, with ``every`` those that are over too; the oldest first."""

    def mark_alert(
        self, id_: int, *, acknowledged: float | None = None, muted_until: float | None = None
    ) -> Alert | None:
        """Set what people say of an alert (``None`` leaves it); the alert, if it is there."""

    def mute(self, mute: Mute) -> None:
        """Mute a cause or a part of the calls, in place of an earlier mute of the same."""

    def mutes(self, now: float) -> list[Mute]:
        """What is muted at a time."""

    def claim_events(self, now: float, *, lease: float, limit: int = 20) -> list[Event]:
        """Take events that are to be told, the oldest first, for ``lease`` seconds.

        Nobody else is given them meanwhile; after a day they are no news any more.
        """

    def settle_event(
        self, id_: int, *, sent: float | None = None, due: float | None = None
    ) -> None:
        """Note that an event was delivered at ``sent``, or is to be tried again at ``due``."""

    def limits(self) -> list[Limit]:
        """The limits in force, by id."""

    def limits_version(self) -> int:
        """A number that grows with every change of the limits; cheap to ask."""

    def save_limit(self, limit: Limit) -> int:
        """Put a limit into force (in place of that with its id, unless that is 0); its id.

        Its accounts of the windows that ``limit.created`` lies in begin with what the rows of
        the history count there.
        """

    def charge(self, charge: Complete, start: float = 0.0) -> int:
        """Have rows from ``start`` on that have neither price nor charge charged; their number.

        ``charge`` gives the row with its ``charged``. For limits in money, before they come into
        force: until then such rows count nothing.
        """

    def remove_limit(self, id_: int) -> bool:
        """Take a limit out of force; false if there is none."""

    def lease(
        self, owner: str, wanted: Mapping[Account, int], now: float, ttl: float
    ) -> dict[Account, Grant]:
        """Hold so much more of each account for ``owner``, for ``ttl`` seconds, atomically.

        Granted is either at least what is wanted (and some more where much is left, so that
        an owner asks seldom) or nothing. What all hold and what rows count stays within the
        limit's amount. As the owner's rows are appended, what they count is taken from what it
        holds of their ``limits``, in the same transaction; if they count more, or it holds nothing,
        it then holds less than nothing, which gives nobody else more. A lease that nobody renews
        counts as spent until its time is over. From then on others may be given it; an owner that
        comes back late keeps what it held where all of it is still left, else all its leases are
        void (``renew`` tells).
        Accounts of limits that are not in force are left out.
        """

    def give_back(self, owner: str, amounts: Mapping[Account, int]) -> None:
        """Hold so much less of each account; a lease of nothing, and no open call, is over."""

    def renew(self, owner: str, now: float, ttl: float) -> bool:
        """Hold on to all of an owner's leases; false where they were void by then.

        It then holds nothing of any account; what rows of its count that are still to be written
        will be taken off that. Also tidies up what is long over.
        """

    def tell_open(self, owner: str, open_: Mapping[Account, Open]) -> None:
        """Say which calls an owner has under way, in place of what it said before."""

    def note_expired(self, numbers: Mapping[int, int]) -> None:
        """Note how many calls more nobody settled in time, by the ids of limits they held to.

        Of limits that are not in force nothing is noted.
        """

    def expired(self) -> dict[int, int]:
        """How many those are since each limit was made, by its id; zeros left out."""

    def balances(self, now: float) -> list[Balance]:
        """The accounts that calls are held to, in the windows that a time lies in.

        Left out are those of a value that another limit names (``ledger.limits.beaten``).
        """

    def counted(self, now: float) -> dict[Account, int]:
        """What the rows of the history count in those accounts, counted anew; zeros left out.

        With what rows that were folded meanwhile counted there.
        """

    def miscounted(self, now: float) -> dict[Account, tuple[int, int]]:
        """Accounts whose counter is not what ``counted`` says at that moment, with both."""

    def recount(self, now: float) -> int:
        """Make those accounts what ``counted`` says, in one transaction; how many changed."""

    def keys_since(self, after: int = 0) -> list[Kept]:
        """The virtual keys that were made or changed after a version, in that order."""

    def add_key(self, kept: Kept) -> None:
        """Keep a new virtual key; its version is the store's to give."""

    def change_key(self, id_: str, change: Callable[[Kept], Kept]) -> Kept | None:
        """Change a virtual key in one transaction; what it is then, ``None`` if it is not there.

        What ``change`` raises passes through, and nothing is changed.
        """

    def save_billed(self, lines: Sequence[Billed]) -> Taken:
        """Write an export's lines in place of those of the same provider, report and day.

        In one transaction; what stays and goes: ``billed.sorted_out``.
        """

    def billed(self, first: str, last: str) -> list[Billed]:
        """What was billed from one day (2026-10-01, UTC) to another, both included."""

    def spent(self, start: float, end: float) -> list[Spent]:
        """What rows by time [start, end) used and cost, by half hours, in order.

        Folded rows are not among them, nor those that nobody was paid for.
        """

    def save_runs(self, budgets: Sequence[RunBudget]) -> None:
        """Write what runs are given; what one was given already stays."""

    def run_accounts(self, runs: Sequence[str], *, use: bool = True) -> list[RunAccount]:
        """What is known of runs, in this order; one that nobody knows has used nothing.

        Without ``use`` that is left out: to add up a long run's rows takes a while.
        """

    def runs(self, before: tuple[float, str] | None = None, limit: int = 50) -> RunPage:
        """The names of runs that calls have, page by page (``ledger.runs.page_of``)."""

    def extend_run(self, given: Extension, most: Bounds) -> Extension:
        """Give a run more and raise its hard stops, in one transaction; with its number.

        Raises InvalidInput where it makes no sense, or is beyond ``most`` in all.
        """

    def close(self) -> None:
        """Close every connection."""


class Journal(Protocol):
    """What the engine may do with the history while calls run: queue, never block."""

    def put(self, record: CallRecord) -> None:
        """Queue a row."""

    def settle_late(self, response: str, complete: Complete) -> None:
        """Queue the replacement of the pending row of a (hashed) response."""

    def put_session(self, session: Session) -> Any:
        """Queue a session, to be written at once; a Ticket of its being on disk."""

    def put_run(self, budget: RunBudget) -> Any:
        """Queue what a run is given, likewise."""
