"""What every store does alike of runs: budgets, extensions, what is used, and what was told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.limits import EACH, NANO, Limit, Unit, runs_of
from budget_proxy.ledger.runs import Alarmed, Bounds, Extension, RunAccount, RunBudget, RunUse
from budget_proxy.run_types import Note
from budget_proxy.store.base import Store
from budget_proxy.types import Guidance
from tests.makers import NOW, record, session
from tests.test_store_contract import OPENERS

MOST = Bounds(1_000, 2 * NANO)


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def more(tokens: int, run: str = "t", usd: int = 0, reason: str = "tests fail") -> Extension:
    """An extension of a run."""
    return Extension(run, NOW, "admin", reason, tokens, usd * NANO)


def test_a_run_uses_what_its_calls_and_those_of_its_parts_use(store: Store) -> None:
    """Pending answers and failures without usage count nothing; an alike name is no part."""
    store.append([
        record(run="t", agent="coder", charged=5, cost=5e-9),
        record(run="t/fix", ts=NOW + 9, charged=7),
        record(run="t/fix/test", ts=NOW + 3, output_tokens=None, input_tokens=1),
        record(run="t/fix", pending=True),
        record(run="t/fix", output_tokens=0, input_tokens=0, finish_reason="error"),
        record(run="t0"),
        record(run="t-1"),
        record(),
    ])  # fmt: skip
    whole, part, unknown = store.run_accounts(["t", "t/fix", "nobody"])
    assert whole.use == RunUse(3, 221, 200, 12, 2, NOW, NOW + 9)
    assert (whole.agent, whole.row) == ("coder", 8)
    assert part.use == RunUse(2, 111, 100, 7, 2, NOW + 3, NOW + 9)
    assert unknown == RunAccount("nobody", row=8)


@pytest.mark.parametrize("run", ["/one", "one/", "a//b", "/", "a/b/"])
def test_odd_names_count_alike_in_rows_and_in_memory(store: Store, run: str) -> None:
    """For the run and for those above it, and for none without a name."""
    store.append([record(run=run), record(run="/two"), record()])
    assert "" not in runs_of(run)
    for account in store.run_accounts(runs_of(run)):
        assert account.use.turns == 1, account.run
    assert "" not in store.runs().runs


def test_what_a_run_is_given_first_stays(store: Store) -> None:
    """Of two instances that meet a run at once the first to write says its budget."""
    first = RunBudget("t", "coder", NOW, 500, None, "p75")
    store.save_runs([first, RunBudget("t", "other", NOW, 900, 1, "later")])
    store.save_runs([RunBudget("t", "third", NOW, 1, 1, "later still")])
    (account,) = store.run_accounts(["t"])
    assert (account.budget, account.agent) == (first, "coder")


def test_extensions_are_recorded_and_bounded(store: Store) -> None:
    """Each is kept with who, when, why and how much; together they stay within the bounds."""
    store.save_runs([RunBudget("t", "coder", NOW, 500, 3 * NANO, "p75")])
    one, other = store.extend_run(more(600), MOST), store.extend_run(more(400, usd=2), MOST)
    (account,) = store.run_accounts(["t"])
    assert account.extensions == (one, other)
    assert (account.size("tokens"), account.size("usd")) == (1_500, 5 * NANO)
    with pytest.raises(InvalidInput, match="1,000 are granted: ask for 0 at most"):
        store.extend_run(more(1), MOST)
    with pytest.raises(InvalidInput, match=r"\$2.00 are granted"):
        store.extend_run(more(0, usd=1), MOST)
    assert store.extend_run(more(1, run="u"), MOST).id == 3
    assert store.run_accounts(["t"])[0].extensions == (one, other)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (more(0), "more than 0"),
        (more(-1), "more than 0"),
        (more(5, reason=" "), "needs a reason"),
        (more(5, reason="x" * 501), "needs a reason"),
        (more(5, run=""), "name"),
    ],
)
def test_an_extension_makes_sense(store: Store, asked: Extension, why: str) -> None:
    """One of nothing, or for no reason, is refused and leaves no trace."""
    with pytest.raises(InvalidInput, match=why):
        store.extend_run(asked, MOST)
    assert store.run_accounts([asked.run])[0].extensions == ()


def test_an_extension_raises_hard_stops(store: Store) -> None:
    """A limit of the run's own is raised; in place of one for each run it gets its own."""
    facts = {"window": "lifetime", "created": NOW}
    store.append([record(run="t/fix"), record(run="u")])
    store.save_limit(Limit("tokens", 200, where=(("run", EACH),), **facts))  # type: ignore[arg-type]
    store.save_limit(Limit("usd", 200, where=(("run", "t"),), **facts))  # type: ignore[arg-type]
    store.save_limit(Limit("tokens", 9, "day", (("run", "t"),), created=NOW))
    version = store.limits_version()
    store.extend_run(more(100), MOST)
    store.extend_run(more(50, usd=1), MOST)
    assert store.limits_version() > version
    found = {(one.unit, one.window, one.where): one.amount for one in store.limits()}
    assert found == {
        ("tokens", "lifetime", (("run", EACH),)): 200,
        ("usd", "lifetime", (("run", "t"),)): 200 + NANO,
        ("tokens", "day", (("run", "t"),)): 9,
        ("tokens", "lifetime", (("run", "t"),)): 350,
    }
    assert store.miscounted(NOW) == {}
    shown = {
        (one.account.limit, one.account.part): one.used
        for one in store.balances(NOW)
        if one.account.limit in {1, 4}
    }
    assert shown == {(1, "t/fix"): 110, (1, "u"): 110, (4, ""): 110}


def test_an_extension_gives_no_more_where_rows_were_let_go(store: Store) -> None:
    """What folded rows of the run counted goes on counting in the hard stop of its own."""
    store.save_limit(Limit("tokens", 1_000, "lifetime", (("run", EACH),), created=NOW))
    store.append(
        [record(run=run, input_tokens=300, output_tokens=0) for run in ("t", "t/fix", "u")]
    )
    assert store.fold(3, NOW + 1) == 3
    store.append([record(run="t", input_tokens=50, output_tokens=0)])
    store.extend_run(more(200), MOST)
    assert {
        (one.account.limit, one.account.part): one.used
        for one in store.balances(NOW)
        if one.account.limit == 2
    } == {(2, ""): 650}
    assert store.miscounted(NOW) == {}
    store.extend_run(more(200), MOST)
    assert [one.amount for one in store.limits()] == [1_000, 1_400]
    assert [one.used for one in store.balances(NOW) if one.account.limit == 2] == [650]


@pytest.mark.parametrize("unit", ["tokens", "output_tokens"])
def test_more_tokens_raise_hard_stops_in_either_kind_of_tokens(store: Store, unit: Unit) -> None:
    """Else a run that an output limit stops could not be helped by an extension."""
    store.save_limit(Limit(unit, 200, "lifetime", (("run", EACH),), created=NOW))
    store.extend_run(more(100), MOST)
    assert [(one.unit, one.amount) for one in store.limits()] == [(unit, 200), (unit, 300)]


def test_runs_come_page_by_page_each_with_its_parts(store: Store) -> None:
    """The one called last is first; a whole without calls of its own is there too."""
    for at, run in enumerate(["a", "b/x", "c", "b/x/y", "a/z", "d"]):
        store.append([record(run=run, ts=NOW + at)])
    page = store.runs(limit=2)
    assert page.runs == ("d", "a", "a/z")
    rest = store.runs(page.next, limit=2)
    assert rest.runs == ("b", "b/x", "b/x/y", "c")
    assert rest.next is None


def test_alarms_are_those_about_the_run(store: Store) -> None:
    """A call may raise alarms about its run and about one above; an extension answers them."""
    store.append([record(run="t/fix", alarms=("loop t/fix", "runaway t"))])
    whole, part = store.run_accounts(["t", "t/fix"])
    assert whole.alarms == (Alarmed("runaway", NOW),)
    assert part.alarms == (Alarmed("loop", NOW),)
    assert part.standing() == part.alarms
    store.extend_run(Extension("t/fix", NOW + 1, "admin", "it polls", 10), MOST)
    assert store.run_accounts(["t/fix"])[0].standing() == ()


def test_an_extension_answers_no_alarm_that_came_after_it(store: Store) -> None:
    """An alarm is as old as the end of its call: one under way then had not raised it."""
    store.append([record(run="t", seconds=60.0, alarms=("loop t",))])
    store.extend_run(Extension("t", NOW + 30, "admin", "it polls", 10), MOST)
    (account,) = store.run_accounts(["t"])
    assert account.standing() == (Alarmed("loop", NOW + 60),)


def note(at: int, text: str, step: int) -> Note:
    """A note at a place."""
    return Note(at, f"id-{text}", text, 3, "t", "tokens", 500, step)


def test_what_a_session_was_told_is_kept_in_place(store: Store) -> None:
    """Notes gather; what stands at a place stays; other guidance stays beside them."""
    given = session(guidance=Guidance("g", "aim", tokens=2), notes=(note(4, "half", 50),))
    store.save_sessions([given])
    store.save_sessions([session(notes=(note(4, "other", 50), note(8, "most", 90)))])
    found = store.session("k")
    assert found is not None
    assert found.notes == (note(4, "half", 50), note(8, "most", 90))
    assert found.guidance == given.guidance


def test_what_a_run_used_may_be_left_out(store: Store) -> None:
    """Where only what changes from outside is asked: budgets, extensions and alarms."""
    store.save_runs([RunBudget("t", "coder", NOW, 500)])
    store.append([record(run="t", alarms=("loop t",))])
    given = store.extend_run(more(5), MOST)
    (account,) = store.run_accounts(["t"], use=False)
    assert account.use == RunUse()
    assert (account.size("tokens"), account.extensions) == (505, (given,))
    assert account.alarms == (Alarmed("loop", NOW),)
