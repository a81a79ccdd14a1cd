from __future__ import annotations

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
