"""Runs in the core: budgets, what calls are told, alarms, stops; state is a fold over rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.ledger.limits import NANO
from budget_proxy.ledger.refusal import Halted
from budget_proxy.ledger.runs import (
    Alarmed,
    Extension,
    RunAccount,
    RunBudget,
    RunLookup,
    RunUse,
)
from budget_proxy.policy.base import AgentPolicy, Policy, RunPolicy
from budget_proxy.running import FEWEST, FRESH, Running
from budget_proxy.types import Call, CallRecord, Patch, Scope
from tests.makers import NOW, call, record, session
from tests.test_engine import MemoryJournal

SET = {"coder": AgentPolicy(run_tokens=1_000)}


def charge(*_: object) -> tuple[int, bool]:
    """Every call costs a thousandth of a dollar."""
    return NANO // 1_000, True


def running(journal: MemoryJournal | None = None, **policy: Any) -> Running:
    """Runs of a process that knows no rows yet."""
    return Running(Policy(**policy), journal or MemoryJournal(), charge, "me")


def of(run: str, agent: str = "coder", **given: Any) -> Call:
    """A call of a run, of one message."""
    return replace(call(tail=0, **given), scope=Scope(run=run, agent=agent))


def row(run: str, tokens: int = 100, **given: Any) -> CallRecord:
    """A row of a run by this process."""
    facts = {"agent": "coder", "input_tokens": 0, "output_tokens": tokens, "instance": "me"}
    return record(run=run, **{**facts, **given})


def begin(runs: Running, asked: Call, found: Sequence[RunAccount] = ()) -> Halted | None:
    """Take up a call; the history tells what is found."""
    steps = runs.begin(asked, "default")
    try:
        wanted = next(steps)
        assert isinstance(wanted, RunLookup)
        known = {one.run: one for one in found}
        steps.send([known.get(name, RunAccount(name)) for name in wanted.runs])
    except StopIteration as end:
        halted: Halted | None = end.value
        return halted
    raise AssertionError("it asks once")


def test_a_call_without_a_run_costs_nothing() -> None:
    """Nothing is asked, told or forecast."""
    runs = running()
    assert list(runs.begin(call(), "default")) == []
    assert runs.outlook(call(), "coder") is None
    assert runs.tell(session(), call(tail=0), Patch()) == (session(), Patch())


def test_a_budget_is_set_by_the_settings_or_by_history() -> None:
    """By the agent's own number, else p75 of its ended runs; with few of those there is none."""
    journal = MemoryJournal()
    runs = running(journal, agents=SET)
    begin(runs, of("t"))
    begin(runs, of("u", agent="writer"))
    for number in range(FEWEST + 4):
        for step in range(3):
            ts = NOW + 9_000 * number + step
            runs.learn(row(f"old-{number}", 100 * (number + 1), agent="writer", ts=ts))
    begin(runs, of("v", agent="writer", now=NOW + 10**6))
    first, second, third = journal.runs
    assert first == RunBudget("t", "coder", NOW, 1_000, None, "set for the agent coder")
    assert (second.tokens, second.basis) == (None, "none: 0 ended runs are known, 8 are needed")
    assert third.tokens is not None
    assert 2_000 < third.tokens < 5_000
    assert third.basis.startswith("p75 of 1")


def test_a_budget_stands_whatever_is_learned_later() -> None:
    """The second call of a run sets nothing; nor does one whose budget the history knows."""
    journal = MemoryJournal()
    runs = running(journal, agents=SET)
    begin(runs, of("t"))
    assert list(runs.begin(of("t", now=NOW + 1), "default")) == []
    known = RunAccount("u", "coder", RunBudget("u", "coder", NOW, 70))
    begin(runs, of("u"), [known])
    assert [one.run for one in journal.runs] == ["t"]
    outlook = runs.outlook(of("u"), "coder")
    assert outlook is not None
    assert outlook.left == 70


def test_what_is_read_again_brings_extensions_and_no_use() -> None:
    """After FRESH seconds the account is asked for; what calls used is known better here."""
    runs = running(agents=SET)
    begin(runs, of("t"))
    runs.settle(row("t", 600))
    more = RunAccount("t", extensions=(Extension("t", NOW, "admin", "why", 500),))
    begin(runs, of("t", now=NOW + FRESH), [more])
    outlook = runs.outlook(of("t"), "coder")
    assert outlook is not None
    assert outlook.left == 900


def test_an_account_is_read_again_where_the_clock_was_put_back() -> None:
    """Else nothing that others grant would be seen until it is as late again."""
    runs = running(agents=SET)
    begin(runs, of("t"))
    assert runs.ask(of("t", now=NOW + FRESH / 2)) is None
    assert runs.ask(of("t", now=NOW - 600.0)) == RunLookup(("t",), use=False)


def test_a_row_is_counted_once() -> None:
    """Not if the account held it already; another instance's is, and so is a late one."""
    runs = running(agents=SET)
    begin(runs, of("t"), [RunAccount("t", row=7)])
    runs.learn(row("t", 100, id=7, instance="other"))
    runs.learn(row("t", 100, id=8, instance="other"))
    runs.settle(row("t", 100, pending=True))
    runs.learn(row("t", 100, id=9))
    outlook = runs.outlook(of("t"), "coder")
    assert outlook is not None
    assert outlook.left == 800


def test_a_forked_child_reads_accounts_anew() -> None:
    """What its parent has counted may not be in the history yet, and comes from there."""
    runs = running(agents=SET)
    begin(runs, of("t"))
    runs.settle(row("t", 600))
    runs.begin_process()
    begin(runs, of("t"), [RunAccount("t", row=3)])
    runs.learn(row("t", 600, id=4, instance="parent"))
    outlook = runs.outlook(of("t"), "coder")
    assert outlook is not None
    assert outlook.left == 400


def test_a_part_is_told_of_its_whole() -> None:
    """What is left is the less of both budgets, and the whole's note comes first."""
    runs = running(agents=SET)
    begin(runs, of("t"))
    runs.settle(row("t", 800))
    begin(runs, of("t/fix"))
    told, patch = runs.tell(session(), of("t/fix"), Patch())
    assert [(note.run, note.step, note.at) for note in told.notes] == [("t", 75, 0)]
    assert patch.notes == told.notes
    outlook = runs.outlook(of("t/fix"), "coder")
    assert outlook is not None
    assert outlook.left == 200


def test_a_run_is_not_told_of_another_that_began_with_the_same_words() -> None:
    """They share a session: what stands there of one is not in the calls of the other."""
    runs = running(agents=SET)
    begin(runs, of("one"))
    begin(runs, of("two"))
    runs.settle(row("one", 900))
    shared, patch = runs.tell(session(), of("one"), Patch())
    assert [note.run for note in patch.notes] == ["one"]
    same, patch = runs.tell(shared, of("two"), Patch())
    assert (same, patch.notes) == (shared, ())
    runs.settle(row("two", 600))
    later = replace(of("two"), tail=2)
    both, patch = runs.tell(shared, later, Patch())
    assert [(note.run, note.at) for note in patch.notes] == [("two", 2)]
    _, patch = runs.tell(both, of("one"), Patch())
    assert [note.run for note in patch.notes] == ["one"]


def test_what_a_provider_keeps_is_told_once() -> None:
    """A conversation on the server holds our note already: later calls carry none."""
    runs = running(agents=SET)
    begin(runs, of("t"))
    runs.settle(row("t", 600))
    first = of("t", previous_response="r1")
    told, patch = runs.tell(session(), first, Patch())
    assert [note.at for note in patch.notes] == [0]
    again, patch = runs.tell(told, first, Patch())
    assert (again, patch.notes) == (told, ())
    runs.settle(row("t", 200))
    later, patch = runs.tell(told, first, Patch())
    assert [note.step for note in patch.notes] == [75]
    assert len(later.notes) == 2


def looping(runs: Running, run: str = "t", count: int = 20) -> list[CallRecord]:
    """Calls that repeat themselves."""
    begin(runs, of(run))
    made = [row(run, 100, input_tokens=500 + 10 * n, ts=NOW + n) for n in range(count)]
    return [runs.settle(one) for one in made]


def test_a_loop_is_written_into_the_row_that_shows_it() -> None:
    """Once, with the reason; the run stands under it from then on."""
    runs = running(agents=SET)
    rows = looping(runs)
    assert [one.alarms for one in rows if one.alarms] == [("loop t",)]
    (shown,) = [one for one in rows if one.alarms]
    assert "run t: " in shown.reason
    outlook = runs.outlook(of("t"), "coder")
    assert outlook is not None
    assert outlook.alarms == ("loop",)
    assert begin(runs, of("t", now=NOW + 99)) is None


def test_a_run_with_an_alarm_is_stopped_where_the_settings_say_so_until_it_is_extended() -> None:
    """Its parts are stopped too; an extension later than the alarm answers it."""
    runs = running(agents=SET, runs=RunPolicy(runaway="stop"))
    looping(runs)
    halted = begin(runs, of("t/fix", now=NOW + 99))
    assert halted is not None
    assert (halted.run, halted.kind, halted.turns) == ("t", "loop", 20)
    assert "run t has made 20 calls and used 13,900 tokens" in halted.message
    more = Extension("t", NOW + 100, "admin", "it polls", 1)
    assert begin(runs, of("t", now=NOW + 199), [RunAccount("t", extensions=(more,))]) is None


def test_alarms_of_the_history_stop_too() -> None:
    """Those of another instance, or before a restart."""
    runs = running(runs=RunPolicy(runaway="stop"))
    known = RunAccount("t", alarms=(Alarmed("runaway", NOW - 9),))
    halted = begin(runs, of("t"), [known])
    assert halted is not None
    assert halted.kind == "runaway"


def test_parts_that_are_alike_are_no_loop_of_their_whole() -> None:
    """Many parts at once do the same; the whole repeats nothing."""
    runs = running(agents=SET)
    begin(runs, of("t"))
    made = [row(f"t/{n}", input_tokens=500 + 10 * n, ts=NOW + n) for n in range(30)]
    rows = [runs.settle(one) for one in made]
    assert [one.alarms for one in rows if one.alarms] == []


RUNS = ("t", "t/a", "t/a/x", "t/b", "u")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(RUNS), st.integers(1, 300)), max_size=40))
def test_a_whole_has_used_what_all_below_it_have(uses: list[tuple[str, int]]) -> None:
    """Whatever the order; and replayed from rows the forecasts are the same."""
    runs, replayed = running(agents=SET), running(agents=SET)
    for name in RUNS:
        begin(runs, of(name))
    for number, (name, tokens) in enumerate(uses):
        made = row(name, tokens, ts=NOW + number)
        runs.settle(made)
        replayed.learn(made)
    for name in RUNS:
        below = [tokens for run, tokens in uses if run == name or run.startswith(f"{name}/")]
        assert runs.numbers(of(name))[name] == (len(below), sum(below))
        one, other = (each.forecast(name, "coder", "gpt-5.4") for each in (runs, replayed))
        assert one == other


def usual(runs: Running, count: int = 20) -> None:
    """Ended runs of three calls each, which say what is usual."""
    for number in range(count):
        for step in range(3):
            ts = NOW - 10**6 + 9_000 * number + step
            runs.learn(row(f"old-{number}", 90 + number + step, ts=ts))


def unlike(number: int) -> int:
    """Tokens that repeat nothing."""
    return 300 + 37 * number * number % 601


def test_an_alarm_that_anothers_row_raises_stands_in_the_next_row_of_ours() -> None:
    """Of a run and of those above it; once, and not where that row tells of it itself."""
    runs = running(agents=SET)
    usual(runs)
    begin(runs, of("t/fix"))
    for number in range(60):
        told = {"alarms": ("runaway t/fix",)} if number == 59 else {}
        theirs = {"ts": NOW + number, "id": number + 1, "instance": "other", **told}
        runs.learn(row("t/fix", unlike(number), **theirs))
    first, second = (runs.settle(row("t/fix", 9 + n, ts=NOW + 60 + n)) for n in (0, 1))
    assert first.alarms == ("runaway t",)
    assert "run t: " in first.reason
    assert second.alarms == ()


@pytest.mark.parametrize("seed", range(8))
def test_no_alarm_is_lost_between_instances_that_share_a_run(seed: int) -> None:
    """Four make its calls, and learn the others' in batches: some row tells that it runs away."""
    names = ("a", "b", "c", "d")
    instances = {name: Running(Policy(), MemoryJournal(), charge, name) for name in names}
    for each in instances.values():
        usual(each)
        begin(each, of("t"))
    written: list[CallRecord] = []
    for turn in range(6):
        made = [
            instances[name].settle(
                row(
                    "t", unlike(seed + 8 * turn + 2 * at + n), ts=NOW + 10 * turn + n, instance=name
                )
            )
            for at, name in enumerate(names)
            for n in range(2)
        ]
        for one in made:
            written.append(replace(one, id=len(written) + 1))
            for name in names:
                if name != one.instance:
                    instances[name].learn(written[-1])
    assert "runaway t" in {name for one in written for name in one.alarms}


def test_the_budget_that_the_history_has_is_that_of_all_instances() -> None:
    """Of two that meet a run at once the one that wrote later takes the other's over."""
    runs = running(agents=SET)
    begin(runs, of("t"))
    theirs = RunAccount("t", "coder", RunBudget("t", "coder", NOW, 700))
    begin(runs, of("t", now=NOW + FRESH), [theirs])
    outlook = runs.outlook(of("t"), "coder")
    assert outlook is not None
    assert outlook.left == 700


def test_a_budget_that_was_not_written_is_written_again() -> None:
    """The history has none when it is read again: its fault had cost it."""
    journal = MemoryJournal()
    runs = running(journal, agents=SET)
    begin(runs, of("t"))
    begin(runs, of("t", now=NOW + FRESH), [RunAccount("t")])
    assert [one.run for one in journal.runs] == ["t", "t"]
    begin(runs, of("t", now=NOW + 2 * FRESH), [RunAccount("t", budget=journal.runs[0])])
    assert len(journal.runs) == 2


def test_an_account_that_could_not_be_read_is_read_as_a_whole_later() -> None:
    """With its budget and all that was used, by whomever; until then nothing is known of it."""
    runs = running(agents={"coder": AgentPolicy(run_tokens=9_000)})
    steps = runs.begin(of("t"), "default")
    next(steps)
    with suppress(StopIteration):
        steps.send([])
    runs.settle(row("t", 100))
    (wanted,) = [runs.ask(of("t", now=NOW + FRESH))]
    assert wanted == RunLookup(("t",), use=True)
    known = RunAccount("t", "coder", RunBudget("t", "coder", NOW, 5_000), RunUse(7, 700), row=9)
    begin(runs, of("t", now=NOW + FRESH), [known])
    assert runs.numbers(of("t"))["t"] == (7, 700)
    runs.settle(row("t", 200))
    outlook = runs.outlook(of("t"), "coder")
    assert outlook is not None
    assert outlook.left == 4_100
    assert runs.ask(of("t", now=NOW + 3 * FRESH)) == RunLookup(("t",), use=False)


def test_what_is_learned_of_a_run_is_in_its_rows_alone() -> None:
    """A part's call ends before its whole's first: live and replayed forecasts are the same."""
    live, replayed = running(), running()
    for runs in (live, replayed):
        for number in range(20):
            start = NOW - 10**6 + 9_000 * number
            runs.learn(row(f"plan-{number}", agent="planner", ts=start))
            for step in range(40):
                runs.learn(row(f"code-{number}", ts=start + step))
    planned = RunAccount("t", "planner", RunBudget("t", "planner", NOW))
    begin(live, of("t", agent="planner"))
    begin(live, of("t/fix"), [planned])
    made = [
        live.settle(row("t/fix", ts=NOW + 1)),
        live.settle(row("t", agent="planner", ts=NOW)),
    ]
    for settled in made:
        replayed.learn(settled)
    for name in ("t", "t/fix", "u"):
        told, again = (each.forecast(name, "coder", "gpt-5.4") for each in (live, replayed))
        assert told == again
