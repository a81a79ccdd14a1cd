"""What every store does alike. A new store joins by an entry in OPENERS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.store.base import Store
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord, Guidance, Session, Thinking
from tests.makers import record, session

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
    guidance_tokens=12, cost=0.0125, prices="2026-11-01", tier="flex", rejected="effort",
    response_id="resp", reason="why — not", score=0.5, instance="i1",
    pending=True,
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
    """A row comes back as it was put in, whichever of its fields were given."""
    for field in fields(CallRecord):
        if field.name not in {"id", "ts", "api", "model", "call_id"}:
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


def test_a_session_comes_back_with_all_it_was_given(store: Store) -> None:
    """Guidance, place, thinking, effort and model survive, and so does their absence."""
    given = Session(
        key="k", id="s", arm="holdout", started=1.5, seen=2.5, propensity=0.1,
        guidance=Guidance("g1", "Aim for 64 tokens.", "user", 3, 9),
        thinking=Thinking("enabled", 2048), effort="low", model="m", decided=True,
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


def test_counts_by_table(store: Store) -> None:
    """Each table's rows are counted; two sessions with one note share it."""
    note = Guidance("g", "text")
    store.append([record(), record()])
    store.save_sessions([session(guidance=note), session(id="s2", guidance=note), session(id="s3")])
    store.meta("salt", "x")
    assert store.counts() == {"calls": 2, "sessions": 3, "guidance": 1, "meta": 1, "days": 0}
