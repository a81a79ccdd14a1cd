"""What every store does alike. A new store joins by an entry in OPENERS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from math import inf
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from budget_proxy.analytics.efficiency import EfficiencyReport, efficiency_report
from budget_proxy.errors import InvalidInput
from budget_proxy.run_types import Note
from budget_proxy.store.applied import Applied
from budget_proxy.store.base import Store
from budget_proxy.store.measures import MOST_TOKENS, sums_of
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.rows import SETTLED_WITHIN
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.store.sums import KEYS, Sums, merged
from budget_proxy.types import CallRecord, Fit, Guidance, Session, Thinking
from tests.makers import NOW, record, session

OPENERS: Final[dict[str, Callable[[Path], Store]]] = {
    "sqlite": lambda directory: SQLiteStore(directory / "history.db"),
    "memory": lambda _: MemoryStore(),
}

FULL: Final = CallRecord(
    ts=1_800_000_000.25, api="openai.responses", model="m", call_id="c9", attempt=2, host="h",
    agent="a", session="s", run="r", task="t", user="u", key="k", tags=("x", 'ü "quoted"'),
    task_type="code", complexity=42.5, domains=("security", "web"), novelty=0.25,
    uncertainty=0.5, criticality=0.75, creative=True, architecture=True, stream=True, n=3,
    input_chars=999, input_estimate=250, input_tokens=251, output_tokens=77,
    reasoning_tokens=7, cache_read_tokens=8, cache_write_tokens=9, exact=False,
    finish_reason="length", truncated=True, cut_by_us=True, ceiling=80, status=206,
    seconds=1.5, q50=1.5, q75=2.5, q90=3.5, q95=4.5,
    q99=5.5, target=64, recommended=65, reserve=66, cap=67,
    thinking="enabled", effort="low", mode="enforce", arm="holdout", propensity=0.1,
    overridden=True, strategy="quantile", confidence=0.6, support=30, guidance="g",
    guidance_tokens=12, cost=0.0125, prices="2026-11-01", charged=12_500_000, tier="flex",
    rejected="effort", response_id="resp", reason="why — not", score=0.5, instance="i1",
    pending=True, signals=b"\x00\xff", alarms=("loop r",),
)  # fmt: skip
"""A record that has the default nowhere."""


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def test_every_field_comes_back(store: Store) -> None:
    """A row comes back as it was put in, whichever of its fields were given that are kept."""
    for field in fields(CallRecord):
        if field.name not in {"id", "ts", "api", "model", "call_id", "limits"}:
            assert getattr(FULL, field.name) != field.default, f"give {field.name} in FULL"
    sparse = CallRecord(ts=1.0, api="a", model="m", call_id="c")
    assert store.append([FULL, sparse]) == [1, 2]
    assert store.recent(10) == [replace(FULL, id=1), replace(sparse, id=2)]


def test_flags_come_back_as_truth_values(store: Store) -> None:
    """True stays True and does not become 1."""
    store.append([record(stream=True, exact=False)])
    (found,) = store.recent(1)
    assert (found.stream, found.exact) == (True, False)
    assert type(found.stream) is bool
    assert type(found.exact) is bool


def test_ids_ascend(store: Store) -> None:
    """Rows get ascending ids over several batches; an empty batch gets none."""
    assert store.append([]) == []
    assert store.append([record()] * 3) == [1, 2, 3]
    assert store.append([record(id=1)]) == [4]


def test_recent_is_the_newest_oldest_first(store: Store) -> None:
    """The newest rows, in the order they were written."""
    store.append([record(call_id=name) for name in "abc"])
    assert [row.call_id for row in store.recent(2)] == ["b", "c"]
    assert store.recent(0) == []


def test_order_is_that_of_writing_when_the_clock_jumps_back(store: Store) -> None:
    """Rows with a time before that of earlier rows are kept, and stand where they were written."""
    store.append([record(ts=100.0), record(ts=50.0)])
    store.append([record(ts=75.0)])
    assert [row.ts for row in store.recent(9)] == [100.0, 50.0, 75.0]
    assert [row.ts for row in store.since(0)] == [100.0, 50.0, 75.0]
    assert [row.ts for row in store.calls()] == [100.0, 50.0, 75.0]


def test_since_gives_others_rows_after_an_id(store: Store) -> None:
    """Rows above an id, at most so many, without those of one instance."""
    store.append([record(instance=name) for name in "abab"])
    assert [row.id for row in store.since(1)] == [2, 3, 4]
    assert [row.id for row in store.since(0, besides="a")] == [2, 4]
    assert [row.id for row in store.since(0, besides="a", limit=1)] == [2]
    assert store.since(4) == []


def test_calls_by_time_are_half_open(store: Store) -> None:
    """The start belongs to the window, the end does not."""
    store.append([record(ts=float(ts)) for ts in (10, 20, 30)])
    assert [row.ts for row in store.calls(start=10, end=30)] == [10.0, 20.0]
    assert [row.ts for row in store.calls(start=20.5)] == [30.0]
    assert list(store.calls(start=30.5)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agent", "x"),
        ("user", "u1"),
        ("stream", True),
        ("tags", ("a", "b")),
        ("domains", ["web"]),
        ("q50", 12.5),
        ("id", 2),
    ],
)
def test_calls_by_equality(store: Store, name: str, value: Any) -> None:
    """A column can be asked for a value, whatever its kind."""
    wanted = record(
        call_id="wanted", agent="x", user="u1", stream=True, tags=("a", "b"), domains=("web",),
        q50=12.5,
    )  # fmt: skip
    store.append([record(), wanted, record(tags=("a",))])
    assert [row.call_id for row in store.calls(**{name: value})] == ["wanted"]


def test_calls_where_nothing_is_known(store: Store) -> None:
    """Asked for None, a column gives the rows where it is unknown."""
    store.append([record(call_id="a", session="s"), record(call_id="b")])
    assert [row.call_id for row in store.calls(session=None)] == ["b"]


def test_calls_by_an_unknown_column_is_a_clear_error(store: Store) -> None:
    """The error names the column that is not there, before anything is read."""
    with pytest.raises(InvalidInput, match="no column 'colour'"):
        store.calls(colour="red")


def test_many_calls_are_streamed_completely(store: Store) -> None:
    """More rows than fit one page come back in order, also while rows are added."""
    store.append([record(output_tokens=n) for n in range(2500)])
    found = store.calls(start=0.0)
    first = next(found)
    store.append([record(output_tokens=-1)])
    assert [first.output_tokens, *(row.output_tokens for row in found)] == list(range(2500))


PAGED: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"agent": "a1"},
    {"agent": "nobody"},
    {"model": "m0"},
    {"task_type": "t1", "model": "m1"},
    {"agent": "a2", "model": "m1"},
    {"agent": "a0", "task_type": "t0", "model": "m0", "truncated": True},
    {"session": "s3"},
    {"run": "r1", "truncated": False},
    {"run": None},
    {"arm": "holdout"},
    {"finish_reason": "length", "agent": "a1"},
    {"finish_reason": "stop", "status": 500},
    {"start": NOW + 20, "end": NOW + 60},
    {"end": NOW + 40, "agent": "a0"},
    {"start": NOW + 30, "truncated": True, "arm": "treatment"},
)
"""What pages are asked for."""


def assorted(count: int) -> list[CallRecord]:
    """Rows of all kinds; some are of one time, some were written late."""
    draw = Random(7)  # noqa: S311 (no secret)
    return [
        record(
            ts=NOW + draw.randrange(100), call_id=f"c{number}", agent=f"a{draw.randrange(3)}",
            task_type=f"t{draw.randrange(2)}", model=f"m{draw.randrange(2)}",
            session=draw.choice([None, "s3", "s4"]), run=draw.choice([None, "r1", "r2"]),
            truncated=draw.random() < 0.2, arm=draw.choice(["holdout", "treatment"]),
            finish_reason=draw.choice(["stop", "stop", "length", "error"]),
            status=draw.choice([200, 500]),
        )
        for number in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("asked", PAGED)
def test_pages_have_every_row_once_newest_first(store: Store, asked: dict[str, Any]) -> None:
    """By time, rows of one time by id; whatever they are asked by."""
    store.append(assorted(300))
    expected = sorted(store.calls(**asked), key=lambda row: (row.ts, row.id), reverse=True)
    for limit in (7, 1000):
        found: list[CallRecord] = []
        page = store.page(limit=limit, **asked)
        while page.before is not None:
            assert len(page.rows) == limit
            found += page.rows
            page = store.page(limit=limit, before=page.before, **asked)
        assert found + list(page.rows) == expected


def test_rows_written_meanwhile_do_not_shift_pages(store: Store) -> None:
    """The second page goes on where the first one ended."""
    store.append([record(ts=NOW + number) for number in range(4)])
    first = store.page(limit=2)
    store.append([record(ts=NOW + 9)])
    second = store.page(limit=2, before=first.before)
    assert [row.id for row in first.rows + second.rows] == [4, 3, 2, 1]
    assert second.before is None


def test_a_page_by_an_unknown_column_is_a_clear_error(store: Store) -> None:
    """It names the column."""
    with pytest.raises(InvalidInput, match="colour"):
        store.page(colour="red")


def test_a_session_comes_back_with_all_it_was_given(store: Store) -> None:
    """Guidance, place, thinking, effort and model survive, and so does their absence."""
    given = Session(
        key="k", id="s", arm="holdout", started=1.5, seen=2.5, propensity=0.1,
        guidance=Guidance("g1", "Aim for 64 tokens.", "user", 3, 9),
        thinking=Thinking("enabled", 2048), effort="low", model="m", decided=True,
        notes=(Note(4, "n1", "Half is used.", 5, "r", "tokens", 900, 50),),
    )  # fmt: skip
    for field in fields(Session):
        if field.name not in {"key", "id", "arm", "started", "seen"}:
            assert getattr(given, field.name) != field.default, f"give {field.name} here"
    bare = session(key="k2", id="s2")
    store.save_sessions([given, bare])
    assert store.session("k") == given
    assert store.session("k2") == bare
    assert store.session("k3") is None


def test_the_newest_session_of_a_key_is_found(store: Store) -> None:
    """Of several sessions under a key the one that started last, whatever came in last."""
    store.save_sessions([session(id="new", started=9.0), session(id="old", started=5.0)])
    found = store.session("k")
    assert found is not None
    assert found.id == "new"


def test_a_session_is_found_by_a_response_it_produced(store: Store) -> None:
    """A response id leads over its call to the session; an unknown one to none."""
    store.save_sessions([session(key="k1", id="s1"), session(key="k2", id="s2")])
    store.append([record(session="s2", response_id="r"), record(response_id="lost")])
    found = store.session("anything", response="r")
    assert found is not None
    assert found.key == "k2"
    assert store.session("k1", response="unknown") is None
    assert store.session("k1", response="lost") is None


def test_without_its_key_a_session_is_found_by_its_id(store: Store) -> None:
    """Another conversation of the same session; the newest, and only where nothing else is."""
    store.save_sessions([session(key="c1", id="s", started=1.0, seen=1.0)])
    store.save_sessions([session(key="c2", id="s", started=2.0, seen=2.0)])
    found = store.session("c3", identifier="s")
    assert found is not None
    assert found.key == "c2"
    exact = store.session("c1", identifier="s")
    assert exact is not None
    assert exact.key == "c1"
    assert store.session("c3", identifier="other") is None


def test_what_a_session_was_given_stays(store: Store) -> None:
    """A second writer changes nothing that the session already has, save when it was seen."""
    first = session(
        guidance=Guidance("g1", "one", tokens=5), effort="low", model="m1", decided=True
    )
    second = session(
        guidance=Guidance("g2", "two", "user", 1, 6), thinking=Thinking("adaptive"), effort="high",
        model="m2", decided=True, arm="holdout", seen=first.seen + 9,
    )  # fmt: skip
    store.save_sessions([first])
    store.save_sessions([second])
    assert store.session("k") == replace(first, seen=second.seen)


def test_what_a_session_lacks_is_filled_in(store: Store) -> None:
    """A session that began bare takes guidance, steer and model from a later write."""
    later = session(
        guidance=Guidance("g", "text", "user", 2, 5), thinking=Thinking("enabled", 9),
        effort="low", model="m", decided=True,
    )  # fmt: skip
    store.save_sessions([session()])
    store.save_sessions([later, session()])
    assert store.session("k") == later


def test_rows_mark_their_session_as_seen(store: Store) -> None:
    """The newest time counts, in a batch and over batches, and never goes back."""
    store.save_sessions([session(id="s", started=10.0, seen=10.0)])
    store.append([record(session="s", ts=30.0), record(session="s", ts=20.0), record(ts=99.0)])
    store.append([record(session="s", ts=15.0)])
    found = store.session("k")
    assert found is not None
    assert found.seen == 30.0


def test_a_score_goes_to_the_newest_attempt(store: Store) -> None:
    """Feedback marks the last attempt of its call alone; unknown calls are told apart."""
    store.append([record(call_id="a"), record(call_id="a", attempt=2), record(call_id="b")])
    assert store.score("a", 0.75)
    assert [row.score for row in store.recent(3)] == [None, 0.75, None]
    assert not store.score("z", 1.0)


def test_a_late_answer_takes_the_place_of_its_pending_row(store: Store) -> None:
    """The old row goes, the new one stands at the end under a new id, with what was scored."""
    store.append([record(response_id="r", pending=True, exact=False), record(call_id="next")])
    assert store.score("c1", 0.5)
    settled = store.settle_late("r", lambda row: replace(row, pending=False, output_tokens=7))
    assert settled == record(response_id="r", output_tokens=7, exact=False, score=0.5, id=3)
    assert [row.id for row in store.recent(9)] == [2, 3]
    assert store.recent(1) == [settled]
    assert store.counts()["calls"] == 2


def test_a_row_replaced_while_rows_are_read_is_read_once(store: Store) -> None:
    """As it was or as it is: the history is never a row short."""
    ids = ["given", "kept", "replaced"]
    store.append([record(call_id=id_, response_id=id_, pending=True) for id_ in ids])

    def settles(id_: str) -> None:
        assert store.settle_late(id_, lambda row: replace(row, pending=False)) is not None

    found = store.calls(start=0.0)
    settles("replaced")
    read = [next(found)]
    settles("given")
    assert sorted(row.call_id for row in [*read, *found]) == ids
    pending = store.calls(pending=True)
    settles("kept")
    assert all(row.pending for row in pending)


def test_a_late_answer_is_taken_once(store: Store) -> None:
    """A row that is settled stays, and so does everything where the response is unknown."""
    store.append([record(response_id="r"), record(pending=True)])
    before = store.recent(9)
    assert store.settle_late("r", lambda row: replace(row, output_tokens=7)) is None
    assert store.settle_late("other", lambda row: replace(row, output_tokens=7)) is None
    assert store.recent(9) == before
    assert store.append([record()]) == [3]


def test_rows_are_asked_for_by_id_where_one_is_missing(store: Store) -> None:
    """A replaced row leaves a gap, which shifts nothing."""
    store.append([record(response_id="r", pending=True), record(), record()])
    store.settle_late("r", lambda row: replace(row, pending=False))
    assert [row.id for row in store.since(1)] == [2, 3, 4]
    assert [row.id for row in store.since(2)] == [3, 4]


def test_a_late_answer_that_cannot_be_stored_changes_nothing(store: Store) -> None:
    """What fails half-way leaves the pending row where it was."""
    store.append([record(response_id="r", pending=True)])
    before = store.recent(9)

    def broken(_: CallRecord) -> CallRecord:
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        store.settle_late("r", broken)
    assert store.recent(9) == before


def test_a_setting_is_set_once(store: Store) -> None:
    """The first default stands for everyone who asks later."""
    assert store.meta("salt", "first") == "first"
    assert store.meta("salt", "second") == "first"
    assert store.meta("other", "second") == "second"


def test_a_setting_is_changed_by_one_alone(store: Store) -> None:
    """Of two who know the same old value the first changes it."""
    assert store.swap_meta("day", "", "monday") is False
    assert store.meta("day", "") == ""
    assert [store.swap_meta("day", "", day) for day in ("monday", "tuesday")] == [True, False]
    assert store.meta("day", "") == "monday"


def test_counts_by_table(store: Store) -> None:
    """Each table's rows are counted; two sessions with one note share it."""
    note = Guidance("g", "text")
    store.append([record(), record()])
    store.save_sessions([session(guidance=note), session(id="s2", guidance=note), session(id="s3")])
    store.meta("salt", "x")
    store.append([record(signals=b"x")])
    store.save_fit(FIT)
    assert store.counts() == {
        "calls": 3, "sessions": 3, "guidance": 1, "features": 1, "fits": 1, "meta": 1, "sums": 0,
        "applied": 0,
        "limits": 0,
        "accounts": 0,
        "leases": 0,
        "lessees": 0,
        "keys": 0, "billed": 0,
        "runs": 0, "run_extensions": 0, "session_notes": 0,
        "alerts": 0, "alert_events": 0, "alert_mutes": 0, "watch": 0,
    }  # fmt: skip


def test_signals_of_recent_rows_come_back(store: Store) -> None:
    """Whoever learns gets them, with the newest rows, newer ones, and a late answer."""
    told, silent = record(signals=b"\x00told"), record()
    store.append([told, silent])
    assert [row.signals for row in store.recent(9)] == [b"\x00told", b""]
    assert [row.signals for row in store.since(0)] == [b"\x00told", b""]
    assert [row.signals for row in store.since(0, besides="x")] == [b"\x00told", b""]
    store.append([record(response_id="r", pending=True, signals=b"late")])
    settled = store.settle_late("r", lambda row: replace(row, pending=False))
    assert settled is not None
    assert settled.signals == b"late"
    assert store.recent(1) == [settled]
    assert store.counts()["features"] == 2


def test_signals_of_old_rows_are_let_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest rows keep theirs; the rows themselves stay."""
    for place in ("learning", "memory"):
        monkeypatch.setattr(f"budget_proxy.store.{place}.KEPT_SIGNALS", 2)
    for name in "abcd":
        store.append([record(call_id=name, signals=name.encode())])
    assert [row.signals for row in store.recent(9)] == [b"", b"", b"c", b"d"]


FIT: Final = Fit("learned", ("c1", 1), ("c3", 2), ts=1_800_000_000.5, instance="i", content=b"\x00")


def test_fits_come_back(store: Store) -> None:
    """The fits of a strategy, oldest first; only the newest keep their content."""
    made = [replace(FIT, ts=float(ts)) for ts in range(4)]
    for fit in made:
        store.save_fit(fit)
    store.save_fit(replace(FIT, strategy="other"))
    old, new = [replace(fit, content=b"") for fit in made[:2]], made[2:]
    assert store.fits("learned") == [*old, *new]
    assert store.fits("learned", 1) == made[3:]
    assert store.fits("none") == []


DAY: Final = 86_400.0


def many(count: int) -> list[CallRecord]:
    """Calls of ten days in every variety that reports tell apart, resends among them."""
    made: list[CallRecord] = []
    for number in range(count):
        cut = number % 11 == 0
        call = record(
            ts=NOW + DAY * (number * 7 % 10) + number, call_id=f"c{number}",
            agent="ab"[number % 2], model="xyz"[number % 3],
            task_type=("review", "code")[number % 2],
            arm=("treatment", "holdout")[number % 5 == 0],
            mode=("observe", "enforce")[number % 3 == 0],
            output_tokens=None if number % 17 == 0 else 50 + number % 40, input_tokens=number,
            reasoning_tokens=number % 7 or None, cost=None if number % 13 == 0 else 0.001 * number,
            exact=number % 19 != 0, n=1 + number % 2, recommended=40 + number % 50,
            confidence=number % 21 / 20,
            strategy="quantile", q50=50.0, q75=60.0, q90=70.0, q95=80.0, q99=85.0,
            ceiling=70 if number % 4 == 0 else None, truncated=cut, cut_by_us=cut,
            finish_reason="length" if cut else ("stop", "error")[number % 23 == 0],
            signals=b"x", seconds=0.5, score=0.25 if number % 6 == 0 else None, cache_read_tokens=3,
        )  # fmt: skip
        made.append(call)
        if cut:
            again = replace(call, attempt=2, truncated=False, cut_by_us=False, output_tokens=99)
            made.append(replace(again, finish_reason="stop"))
    return made


def reported(store: Store, start: float | None = None) -> EfficiencyReport:
    """What a report tells of a history."""
    return efficiency_report(store.sums(start=start))


def alike(one: Any, other: Any) -> bool:
    """Whether two reports tell the same; sums of fractions may differ in their last digits."""
    if isinstance(one, float):
        return bool(one == pytest.approx(other, rel=1e-12))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if hasattr(one, "__dataclass_fields__"):
        return all(alike(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return bool(one == other)


@pytest.mark.parametrize("limit", [1, 7, 10_000])
def test_reports_tell_the_same_when_rows_are_folded(store: Store, limit: int) -> None:
    """Whatever the batches were, and however much of the history is folded by now."""
    store.append(many(300))
    before = reported(store)
    rows, folded = store.counts()["calls"], 0
    while count := store.fold(store.horizon(0), NOW + 6 * DAY, limit=limit):
        folded += count
        assert store.counts()["calls"] == rows - folded
    assert 100 < folded < rows
    assert min(row.ts for row in store.calls()) >= NOW + 6 * DAY
    assert alike(reported(store), before)
    while store.fold(store.horizon(0), NOW + 99 * DAY, limit=limit):
        pass
    assert list(store.calls()) == []
    assert store.counts()["features"] == 0
    assert store.counts()["sums"] > 20
    assert alike(reported(store), before)


def test_a_call_is_folded_with_all_its_attempts(store: Store) -> None:
    """The resend of a cut call is not measured, although it is in a later batch."""
    cut = record(call_id="a", truncated=True, cut_by_us=True, recommended=90)
    store.append([cut, record(call_id="b"), replace(cut, attempt=2, cut_by_us=False)])
    before = reported(store)
    assert (before.overall.resent, before.overall.measured) == (1, 1)
    assert store.fold(store.horizon(0), NOW + 1, limit=1) == 2
    assert [row.call_id for row in store.calls()] == ["b"]
    assert alike(reported(store), before)


def test_the_newest_rows_stay_whatever_their_age(store: Store) -> None:
    """By id, as replay reads them; a horizon beyond the history keeps all."""
    store.append([record(ts=float(ts)) for ts in (50, 40, 30, 20, 10)])
    assert [store.horizon(keep) for keep in (0, 2, 5, 9)] == [5, 3, 0, 0]
    assert store.foldable(3, NOW) == 3
    assert store.fold(3, NOW) == 3
    assert [row.ts for row in store.recent(9)] == [20.0, 10.0]
    assert store.fold(store.horizon(9), NOW) == 0
    assert store.append([record()]) == [6]


def test_rows_that_may_still_be_settled_stay(store: Store) -> None:
    """A background answer can be retrieved for thirty days; an older one is folded as it is."""
    young, old = NOW - SETTLED_WITHIN + 5, NOW - SETTLED_WITHIN - 5
    store.append([record(ts=young, pending=True, response_id="r"), record(ts=old, pending=True)])
    assert store.foldable(9, NOW) == 1
    assert store.fold(9, NOW) == 1
    assert store.settle_late("r", lambda row: replace(row, pending=False)) is not None


def same(one: list[Sums], other: list[Sums]) -> bool:
    """Whether sums are the same; those of fractions may differ in their last digits."""
    return len(one) == len(other) and all(map(alike, one, other))


@pytest.mark.parametrize("by", [(), ("agent",), ("model", "arm"), KEYS])
def test_sums_are_those_of_the_rows(store: Store, by: tuple[str, ...]) -> None:
    """By some columns or none, of every row; written in two batches, asked in between too."""
    rows = many(600)
    store.append(rows[:250])
    assert same(store.sums(by=by), merged(sums_of(rows[:250]), by))
    store.append(rows[250:])
    found = store.sums(by=by)
    assert same(found, merged(sums_of(rows), by))
    assert [sums.calls for sums in found] == sorted((s.calls for s in found), reverse=True)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, NOW + 3.5 * DAY), (NOW + 2.25 * DAY + 7, None), (NOW - 9 * DAY, NOW + 77),
        (NOW + 100.5, NOW + 400.5), (NOW - NOW % DAY + DAY, NOW - NOW % DAY + 3 * DAY),
        (NOW + DAY, NOW + DAY), (NOW + 3 * DAY, NOW), (NOW + 99 * DAY, None),
    ],
)  # fmt: skip
def test_sums_of_a_span_are_exact(store: Store, start: float | None, end: float | None) -> None:
    """To the second, wherever it begins and ends; the wrong way round it is empty."""
    rows = many(600)
    store.append(rows)
    low, high = start or 0, end or inf
    within = [row for row in rows if low <= row.ts < high]
    assert same(store.sums(start=start, end=end), merged(sums_of(within), KEYS[:3]))


def test_sums_of_equal_columns(store: Store) -> None:
    """Their own keys, or any other column; one that is none is an error."""
    rows = many(600)
    store.append(rows)
    wanted: dict[str, Any] = {"agent": "a", "arm": "holdout", "mode": "enforce", "cost": None}
    for name, value in wanted.items():
        within = sums_of([row for row in rows if getattr(row, name) == value])
        assert same(store.sums(**{name: value}), merged(within, KEYS[:3])), name
    assert store.sums(agent="nobody") == []
    with pytest.raises(InvalidInput, match="no column 'colour'"):
        store.sums(colour="red")


def test_only_the_sums_that_are_wanted(store: Store) -> None:
    """Those are exact, with their times and order; the others may be 0."""
    rows = many(600)
    store.append(rows)
    found = store.sums(by=("agent",), only=("cost", "calls"))
    for one, other in zip(found, merged(sums_of(rows), ("agent",)), strict=True):
        for name in ("agent", "first", "last", "calls", "cost"):
            assert getattr(one, name) == pytest.approx(getattr(other, name))


def test_usage_that_cannot_be_keeps_nobody_from_summing(store: Store) -> None:
    """A provider that tells of 2^62 tokens: the sums go on, and so do the rows after it."""
    huge = 2**62
    odd = record(output_tokens=huge, input_tokens=huge, ceiling=huge, reserve=huge, n=3, agent="a")
    store.append([odd] * 5000)
    store.append([record(agent="b")])
    odds, other = store.sums(by=("agent",))
    assert (odds.attempts, odds.output_tokens) == (5000, 5000 * MOST_TOKENS)
    assert (other.attempts, other.output_tokens) == (1, 100)
    assert same([odds], merged(sums_of([odd] * 5000), ("agent",)))


def test_what_changes_later_changes_the_sums(store: Store) -> None:
    """A score, given once and again; an answer that was still being made."""
    store.append([record(call_id="a"), record(call_id="b", pending=True, response_id="r")])
    (before,) = store.sums(by=())
    assert (before.attempts, before.scored, before.output_tokens) == (2, 0, 200)
    for score in (0.5, 0.75):
        store.score("a", score)
        store.score("b", 1.0)
    store.settle_late("r", lambda row: replace(row, pending=False, output_tokens=900, score=None))
    store.score("b", 0.25)
    (after,) = store.sums(by=())
    assert (after.attempts, after.output_tokens) == (2, 1000)
    assert (after.scored, after.score) == (2, 1.0)


def test_sums_of_folded_rows_keep_their_time(store: Store) -> None:
    """Half hours for 62 days before the newest call, before that days; never counted twice."""
    rows = [record(ts=NOW + DAY * number, call_id=f"c{number}") for number in range(100)]
    store.append(rows)
    while store.fold(store.horizon(0), NOW + 90 * DAY):
        pass
    assert [sums.attempts for sums in store.sums()] == [100]
    day = NOW - NOW % DAY
    for start in (day + 20 * DAY, day + 80 * DAY, day + 80 * DAY + 7200, day + 95 * DAY + 0.5):
        (found,) = store.sums(start=start)
        assert found.attempts == sum(1 for row in rows if row.ts >= start)
    assert len(store.folded()) == 90
    assert store.folded()[0] == (day, "reviewer", "gpt-5.4")


def test_room_is_given_back(store: Store) -> None:
    """Piece by piece until there is none, or at once; the rows that stay are there."""
    store.append(many(4000))
    store.fold(store.horizon(100), NOW + 99 * DAY, limit=5000)
    while store.reclaim(pages=50):
        pass
    store.vacuum()
    assert len(list(store.calls())) == 100


GROUP: Final = ("reviewer", "review", "gpt-5.4")


def test_newest_rows_of_a_group_come_newest_first(store: Store) -> None:
    """Of one agent, task type and model, at most so many, from a time on."""
    store.append([record(call_id=str(i), ts=NOW + i) for i in range(6)])
    store.append([record(agent="a"), record(task_type="t"), record(model="m")])
    assert [row.call_id for row in store.newest(GROUP, 3)] == ["5", "4", "3"]
    assert [row.call_id for row in store.newest(GROUP, 9, start=NOW + 4)] == ["5", "4"]
    assert store.newest(GROUP, 1)[0] == replace(record(call_id="5", ts=NOW + 5), id=6)
    assert store.newest(("nobody", "review", "gpt-5.4"), 3) == []


def test_newest_rows_by_a_columns_value_or_its_being_there(store: Store) -> None:
    """Equality and presence are asked of the newest so many of the group alone."""
    store.append(
        [
            record(call_id=str(i), truncated=i % 2 == 0, score=None if i % 3 else 0.5)
            for i in range(12)
        ]
    )
    assert [row.call_id for row in store.newest(GROUP, 3, truncated=True)] == ["10", "8", "6"]
    assert [row.call_id for row in store.newest(GROUP, 9, known="score")] == ["9", "6", "3", "0"]
    assert [row.call_id for row in store.newest(GROUP, 9, known="score", within=7)] == ["9", "6"]
    assert [
        row.call_id for row in store.newest(GROUP, 2, known="score", truncated=False, within=5)
    ] == ["9"]
    with pytest.raises(InvalidInput, match="colour"):
        store.newest(GROUP, 1, known="colour")
    with pytest.raises(InvalidInput, match="shade"):
        store.newest(GROUP, 1, shade=1)


def test_applied_suggestions_are_numbered_and_undone_once(store: Store) -> None:
    """Newest first; every field comes back, whatever stands in it."""
    one = Applied(
        ts=NOW, suggestion="{}", file="/x", path=("agents", 'a "b"\n', "caps"), before=None,
        after="off", removed="", added="[x]\n", digest_before=None, digest_after="d",
    )  # fmt: skip
    other = replace(one, before=3, after=True, digest_before="e")
    assert [store.save_applied(one), store.save_applied(other)] == [1, 2]
    assert store.applied() == [replace(other, id=2), replace(one, id=1)]
    assert store.mark_undone(1, NOW + 5)
    assert not store.mark_undone(1, NOW + 9)
    assert not store.mark_undone(3, NOW)
    assert store.applied(1) == [replace(one, id=1, undone=NOW + 5)]
    assert store.counts()["applied"] == 2
