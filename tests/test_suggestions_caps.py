from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.suggestions.base import Setting
from budget_proxy.analytics.suggestions.budgets import ill_fitting
from budget_proxy.analytics.suggestions.caps import idle_caps, over_allocated, under_allocated
from budget_proxy.policy.base import AgentPolicy
from tests.scenes import calls, scene

CLAUDE: dict[str, Any] = {"api": "anthropic.messages", "model": "claude-sonnet-4-5"}


def test_a_far_cap_frees_reservations_where_a_setting_lowers_it() -> None:
    """A hundred calls capped at 4,096 that use 100: our cap would be the floor of 1,024."""
    (found,) = over_allocated(scene(*calls(100, ceiling=4096, model="gpt-4.1"), caps="never"))
    assert found.setting == Setting(("agents", "coder", "caps"), "quota")
    assert (found.tokens, found.of) == (100 * (4096 - 1024), "reserved")
    assert found.money == (0.0, 0.0)
    assert "no money" in found.worth
    assert (found.n, found.confidence) == (100, "medium")
    assert found.calls == ("c99", "c98", "c97", "c96", "c95")
    assert (found.agent, found.task_type, found.model) == ("coder", "bug-fix", "gpt-4.1")


def test_where_no_setting_would_write_a_cap_the_code_is_to_change() -> None:
    """Under caps = "quota" what is uncapped cannot be capped by us: 1.5 x 100, rounded up."""
    (found,) = over_allocated(scene(*calls(100, ceiling=4096, model="gpt-4.1")))
    assert found.setting is None
    assert found.evidence["cap_suggested"] == 192
    assert found.tokens == 100 * (4096 - 192)
    assert "192" in found.action


@pytest.mark.parametrize("agents", [{}, {"coder": AgentPolicy(caps="never")}])
def test_the_lever_is_the_agents_own_setting(agents: dict[str, AgentPolicy]) -> None:
    """An agent that is observed is suggested to be enforced, whatever its caps."""
    rows = calls(60, ceiling=4096, model="gpt-4.1", mode="observe")
    (found,) = over_allocated(scene(*rows, mode="observe", agents=agents))
    assert found.setting == Setting(("agents", "coder", "mode"), "enforce")


def test_reasoning_models_keep_their_floor() -> None:
    """A cap of 30,000 lies no more than three times above the 25,000 that we would write."""
    rows = calls(100, ceiling=30_000, model="gpt-5.4")
    assert not list(over_allocated(scene(*rows, caps="never")))


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"ceiling": 4096, **CLAUDE}, id="a provider that does not count caps"),
        pytest.param({"ceiling": 4096, "host": "llm.internal"}, id="a host that may not"),
        pytest.param({"ceiling": 4096, "cap": 4096}, id="caps that we wrote"),
        pytest.param({"ceiling": None}, id="no caps known"),
        pytest.param({"ceiling": 300}, id="caps that fit"),
        pytest.param({"ceiling": 4096, "session": "one"}, id="one session alone"),
        pytest.param({"ceiling": 4096, "finish_reason": "error"}, id="no answers"),
    ],
)
def test_no_room_is_seen_where_there_is_none(given: dict[str, Any]) -> None:
    """Nothing is suggested then."""
    assert not list(over_allocated(scene(*calls(100, **{"model": "gpt-4.1", **given}))))


def test_fewer_than_fifty_calls_suggest_nothing() -> None:
    """Forty-nine do not; fifty do."""
    rows = calls(50, ceiling=4096, model="gpt-4.1")
    assert list(over_allocated(scene(*rows)))
    assert not list(over_allocated(scene(*rows[:49])))


def test_a_cap_that_cuts_is_raised_to_what_holds_99_percent() -> None:
    """Twenty of 200 were cut at 100 tokens; with 1,000 others' room, 400 holds 99 %."""
    rows = calls(
        220, output_tokens=lambda i: 100 if i < 20 else 300 + i % 100, model="gpt-4.1",
        truncated=lambda i: i < 20, finish_reason=lambda i: "length" if i < 20 else "stop",
    )  # fmt: skip
    (found,) = under_allocated(scene(*rows, days=10))
    # Survival of 220 with 20 gone at 100: the 99 % point is 398 (two of 200 are longer: 399).
    assert found.evidence["cap_suggested"] == 448  # the next multiple of 64
    assert found.evidence["cut"] == 20
    assert found.evidence["share"] == pytest.approx(20 / 220)
    assert found.tokens == 20 * 100 * 3  # of ten days, so three times that in a month
    # gpt-4.1: $2 a million input, $8 a million output: (10 * 2 + 100 * 8) / 1e6 each; the
    # upper bound of 20 in 220 (Wilson's) is 13.6 %.
    assert found.money is not None
    assert found.money[0] == 0
    assert found.money[1] == pytest.approx(3 * 220 * 0.1363 * 820e-6, rel=0.01)
    assert found.setting is None
    assert set(found.calls) <= {f"c{i}" for i in range(20)}


def test_where_every_long_answer_was_cut_the_forecast_speaks_or_nobody() -> None:
    """The needed cap is not made up: by q99 if that lies beyond, else the cap is to be lifted."""
    cut = {"output_tokens": lambda i: 100 if i < 20 else 50, "truncated": lambda i: i < 20}
    (open_end,) = under_allocated(scene(*calls(100, **cut)))
    assert open_end.evidence["cap_suggested"] is None
    assert "no answer tells" in open_end.action
    (forecast,) = under_allocated(scene(*calls(100, **cut, q99=900.0)))
    assert forecast.evidence["cap_suggested"] == 960
    assert "forecast" in forecast.action


def test_an_unknown_price_is_none_and_said() -> None:
    """The tokens are told all the same."""
    rows = calls(100, model="own-model", output_tokens=100, truncated=lambda i: i < 20)
    (found,) = under_allocated(scene(*rows))
    assert found.money is None
    assert found.tokens == 2000


@pytest.mark.parametrize(("cut", "suggested"), [(3, False), (6, True)])
def test_the_bound_decides_not_the_rate(cut: int, suggested: bool) -> None:
    """3 of 200 may well be 1 % (from .5 %); 6 of 200 are more (from 1.4 %)."""
    rows = calls(200, output_tokens=lambda i: 100 + i, truncated=lambda i: i < cut)
    assert bool(list(under_allocated(scene(*rows)))) is suggested


def test_our_own_caps_that_cut_can_be_switched_off() -> None:
    """Twenty of 200 calls were sent again: their first attempts' cost is what they wasted."""
    rows = calls(
        200, output_tokens=1000, model="gpt-4.1", truncated=lambda i: i < 20,
        cut_by_us=lambda i: i < 20, cap=1000, ceiling=1000,
    )  # fmt: skip
    (found,) = under_allocated(scene(*rows))
    assert found.setting == Setting(("agents", "coder", "caps"), "never")
    assert found.tokens == 20_000
    assert found.money is not None
    low, high = found.money
    assert low < 20 * 8020e-6 < high
    assert not list(under_allocated(scene(*rows, caps="never")))


def test_a_cap_that_never_binds_is_told_where_lowering_frees_nothing() -> None:
    """At 200 calls, none cut: no tokens, no money, and a runaway guard of 4 x q99."""
    rows = calls(200, ceiling=64_000, **CLAUDE)
    (found,) = idle_caps(scene(*rows))
    assert (found.tokens, found.money) == (None, (0.0, 0.0))
    assert found.evidence["runaway_guard"] == 448
    assert not list(idle_caps(scene(*rows[:199])))
    assert not list(
        idle_caps(scene(*rows[:-1], *calls(1, ceiling=64_000, truncated=True, **CLAUDE)))
    )


def test_budgets_by_rule_of_thumb_are_compared_with_their_use() -> None:
    """Of 100 budgets of 3,000 tokens 400 are used each: at 80 % use 500 would have done."""
    rows = calls(100, recommended=3000, output_tokens=400, strategy="heuristic")
    (found,) = ill_fitting(scene(*rows, strategy="heuristic"))
    assert found.calls == tuple(row.call_id for row in rows[:-6:-1])
    assert found.tokens == 100 * 2500
    assert found.setting == Setting(("strategy",), "auto")
    assert (found.agent, found.task_type) == ("", "bug-fix")
    assert not list(ill_fitting(scene(*rows, strategy="auto")))


COUNTS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 900), st.integers(1, 60) | st.none(),
              st.booleans(), st.booleans()),
    min_size=60, max_size=120,
)  # fmt: skip


@given(COUNTS, st.sampled_from([3.0, 30.0, 90.0]))
def test_tokens_agree_with_the_rows(
    rows: list[tuple[int, int, int | None, bool, bool]], days: float
) -> None:
    """Whatever is suggested, its tokens are what the rows themselves add up to, in a month."""
    history = calls(
        len(rows), model="gpt-4.1",
        n=lambda i: rows[i][0], output_tokens=lambda i: rows[i][0] * rows[i][1],
        ceiling=lambda i: 1000 * (rows[i][2] or 0) or None,
        truncated=lambda i: rows[i][3] and not i % 5,
        cap=lambda i: 5 if rows[i][4] else None,
    )  # fmt: skip
    here = scene(*history, days=days)
    for found in over_allocated(here):
        cap = found.evidence["cap_suggested"]
        assert cap is not None
        freed = sum(
            max(row.ceiling - cap, 0) * row.n
            for row in history
            if row.ceiling is not None and row.cap is None
        )
        assert found.tokens == round(freed * 30 / days)
    for found in under_allocated(here):
        wasted = sum(row.output_tokens or 0 for row in history if row.truncated)
        assert found.tokens == round(wasted * 30 / days)
