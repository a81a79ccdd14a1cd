from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.predict.runs.groups import WINDOW, Groups, chain_of


def test_a_run_belongs_to_its_finest_group_once() -> None:
    """Runs of another task, model and agent stand at the levels that they share."""
    groups = Groups(100)
    runs = [
        chain_of("coder", "gpt-x", "fix"), chain_of("coder", "gpt-x", "write"),
        chain_of("coder", "claude-y", None), chain_of("reviewer", "gpt-x", "fix"),
    ]  # fmt: skip
    for number, chain in enumerate(runs):
        groups.add(chain, number)
    numbers, levels = groups.runs(runs[0])
    assert dict(zip(numbers.tolist(), levels.tolist(), strict=True)) == {0: 3, 1: 2, 2: 1, 3: 0}
    assert groups.runs(chain_of("nobody", "m", None))[1].tolist() == [0, 0, 0, 0]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("mn"), st.sampled_from([None, "x", "y"])),
        max_size=40,
    ),
    st.integers(3, 12),
)
def test_runs_come_in_the_order_of_their_widest_group(
    begun: list[tuple[str, str, str | None]], most: int
) -> None:
    """Each once, with its finest level, as told one by one; also where groups fell out."""
    groups = Groups(most)
    for number, (agent, model, task) in enumerate(begun):
        groups.add(chain_of(agent, model, task), number)
    for chain in {chain_of(*names) for names in begun}:
        finest: dict[int, int] = {}
        for level, group in enumerate(chain):
            finest.update(dict.fromkeys(groups._groups.get(group, ()), level))
        numbers, levels = groups.runs(chain)
        assert list(zip(numbers.tolist(), levels.tolist(), strict=True)) == list(finest.items())


def test_a_run_that_begins_is_seen_at_once() -> None:
    """What was answered before does not hide it."""
    groups, chain = Groups(100), chain_of("coder", "gpt-x", None)
    assert groups.runs(chain)[0].tolist() == []
    groups.add(chain, 7)
    assert groups.runs(chain)[0].tolist() == [7]


def test_groups_and_their_runs_are_bounded() -> None:
    """The newest runs of a group, the newest groups; the group of all stays."""
    groups = Groups(10)
    for number in range(WINDOW + 50):
        groups.add(chain_of(f"agent-{number}", "m", None), number)
    numbers, levels = groups.runs(chain_of("agent-0", "m", None))
    assert numbers.tolist() == list(range(50, WINDOW + 50))
    assert set(levels.tolist()) == {0}
    assert len(groups._groups) == 10
