from __future__ import annotations

import math

from budget_proxy.predict.cases import ALL, MASK, case_of, joined, key_of
from budget_proxy.predict.signals import signals_of
from budget_proxy.types import Characteristics, Message
from tests.cases import features
from tests.makers import SALT, call


def test_the_same_call_has_the_same_keys_and_another_has_others() -> None:
    """Model, agent, task and session are told apart; what is not named has the key 0."""
    plain = case_of(features())
    assert plain == case_of(features())[: len(plain) - 2] + plain[-2:]
    assert plain.task == plain.session == plain.tail == 0
    assert plain.groups[0] == ALL
    other = case_of(features(model="claude-y", session="s", task="t"))
    assert other.factors[1] == plain.factors[1]
    assert other.factors[0] != plain.factors[0]
    assert other.pair != plain.pair
    assert other.session
    assert other.task
    assert other.session != other.task


def test_prompt_and_template_come_from_the_signals() -> None:
    """Two prompts of one template share its key and no prompt's; damaged signals count as none."""
    seen = []
    for number in (1, 2):
        text = f"Tell me in one sentence what the number {number} stands for"
        signals = signals_of(call(messages=(Message("user", text),)), Characteristics(), SALT)
        seen.append(case_of(features(signals=signals)))
    one, two = seen
    assert one.factors[3] == two.factors[3] != 0
    assert one.factors[6] != two.factors[6]
    assert len(one.grams) > 5
    assert case_of(features(signals=b"\x07 no signals")).factors == case_of(features()).factors


def test_a_cap_and_the_input_are_taken_as_they_are() -> None:
    """No cap is an infinite one; the input is ln(1 + tokens)."""
    assert case_of(features()).ceiling == math.inf
    assert case_of(features(ceiling=300)).ceiling == 300.0
    assert case_of(features(input_tokens=99)).input == math.log(100.0)


def test_keys_fit_into_a_signed_column() -> None:
    """Keys are from 1 to 2^63 - 1; what joins nothing is 0."""
    for name in ("", "a", "模型", "\udc80"):
        assert 0 < key_of(name) <= MASK
        assert 0 < joined(key_of(name), MASK) <= MASK
    assert joined(0, 5) == joined(5, 0) == 0
    assert joined(3, 5) != joined(5, 3)
