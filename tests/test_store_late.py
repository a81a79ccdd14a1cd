from __future__ import annotations

from budget_proxy.store.late import LOOKS, MISSED, Late
from budget_proxy.types import CallRecord


def same(row: CallRecord) -> CallRecord:
    """Change nothing."""
    return row


def looked(late: Late) -> list[str]:
    """Have every answer that is due miss its row; their responses in the order of the looks."""
    names = []
    while (answer := late.take()) is not None:
        names.append(answer.response)
        late.missed(answer)
    return names


def test_new_answers_come_first_and_in_order() -> None:
    """What was not tried yet is most likely to find its row."""
    late = Late(every=0.0)
    late.add("a", same)
    first = late.take()
    assert first is not None
    late.missed(first)
    for name in "bc":
        late.add(name, same)
    assert len(late) == 2
    assert looked(late)[:4] == ["b", "c", "a", "b"]


def test_a_row_is_looked_for_a_few_times_and_not_at_once() -> None:
    """Until then there is something to do, and the time of it is told."""
    late = Late(every=0.0)
    late.add("a", same)
    assert looked(late) == ["a"] * LOOKS
    assert (late.due, len(late)) == (None, 0)
    patient = Late(every=60.0)
    patient.add("a", same)
    assert looked(patient) == ["a"]
    assert patient.due is not None
    assert len(patient) == 0


def test_no_more_than_so_many_wait_for_their_rows() -> None:
    """Those that have waited longest are given up first."""
    late = Late(every=0.0)
    for n in range(MISSED + 50):
        late.add(str(n), same)
    names = looked(late)
    assert names[MISSED + 50] == "50"
    assert len(names) == MISSED + 50 + MISSED * (LOOKS - 1)


def test_what_could_not_be_tried_is_the_next_again() -> None:
    """A broken store uses up no look."""
    late = Late(every=0.0)
    for name in "ab":
        late.add(name, same)
    untried = late.take()
    assert untried is not None
    late.put_back(untried)
    assert len(late) == 2
    for _ in range(2):
        answer = late.take()
        assert answer is not None
        late.missed(answer)
    again = late.take()
    assert again is not None
    late.put_back(again)
    assert looked(late) == ["a", "b"] * (LOOKS - 1)


def test_forgetting_leaves_nothing() -> None:
    """A forked child begins without its parent's answers."""
    late = Late(every=0.0)
    late.add("a", same)
    answer = late.take()
    assert answer is not None
    late.missed(answer)
    late.add("b", same)
    late.clear()
    assert (late.take(), late.due, len(late)) == (None, None, 0)
