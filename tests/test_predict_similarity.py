"""The similarity strategy against sums worked out by hand, and against a plain reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.classify.cues import DOMAINS, TASK_TYPES
from budget_proxy.errors import InvalidInput
from budget_proxy.predict.similarity import Similarity
from budget_proxy.types import LEVELS, Characteristics, Features, Observation

NOW = 100 * 86_400.0
BASE = Characteristics(
    complexity=50.0, domains=frozenset({"backend"}), task_type="bug-fix", novelty=0.0,
    uncertainty=0.2, criticality=0.3,
)  # fmt: skip


def call(task: Characteristics = BASE, *, agent: str = "a", now: float = NOW) -> Features:
    """A call of a task, its task type that of the characteristics."""
    return Features(agent, "gpt-x", task.task_type, task, now)


def with_history(
    rows: Iterable[tuple[Characteristics, int]], *, agent: str = "a", ts: float = NOW - 60.0
) -> Similarity:
    """A predictor that has seen (task, tokens used), calls named by their place from 0."""
    predictor = Similarity(100)
    for at, (task, used) in enumerate(rows):
        predictor.learn_one(call(task, agent=agent), Observation(used, False, ts), str(at))
    return predictor


def test_one_similarity_by_hand() -> None:
    """Each of the five terms, worked out."""
    seen = Characteristics(
        complexity=80.0, domains=frozenset({"backend", "auth"}), task_type="testing",
        novelty=0.5, uncertainty=0.6, criticality=0.8,
    )  # fmt: skip
    # without novelty: .30 x (1 - 30/100) = .21; .25 x 1/2 = .125; .20 x .5 (related) = .10;
    # .075 x (1 - .4) = .045; .10 x (1 - .5) = .05: .53 in all, / .925 = .572973
    predictor = with_history([(seen, 1_000)])
    assert predictor.novelty(call()) == pytest.approx(1 - 0.53 / 0.925, abs=1e-6)
    # with it: novelty closeness 1 - |.5 - .427027| = .927027, x .075 = .069527: .599527 < .6
    assert predictor.similar(call(), 5) == ()
    # complexity 79 instead of 80 adds .003: plain .533, novelty .423784, closeness .923784,
    # x .075 = .069284: .602284
    nearer = with_history([(replace(seen, complexity=79.0), 1_000)])
    (only,) = nearer.similar(call(), 5)
    assert only.similarity == pytest.approx(0.602284, abs=1e-6)
    assert (only.call_id, only.task_type, only.used, only.ts) == ("0", "testing", 1_000, NOW - 60)


def test_a_prediction_by_hand() -> None:
    """The mean weighted by similarity, novelty's multiplier and confidence, worked out."""
    far = replace(BASE, complexity=90.0)
    predictor = with_history([(BASE, 1_000), (BASE, 1_200), (far, 4_000), (far, 4_000), (far, 800)])
    # the nearest row is the task itself: novelty 0, so similarities are 1 and, for the others,
    # 1 - .30 x .4 = .88
    # weighted: (1,000 + 1,200 + .88 x 8,800) / (2 + .88 x 3) = 9,944 / 4.64 = 2,143.10
    forecast = predictor.predict_one(call())
    assert forecast.recommended == 2_143
    assert forecast.values == (2_143.0,) * len(LEVELS)
    assert forecast.novelty == 0.0
    assert forecast.reasons == ("5 similar tasks used 2,143 tokens",)
    # mean 2,200, deviations -1,200 -1,000 1,800 1,800 -1,400: squares 1.44 + 1 + 3.24 + 3.24
    # + 1.96 = 10.88 (million) / 5 = 2.176, root 1,475.127, / 2,200 = .670512
    # min(5/20, .4) + .3 x .329488 + .15 x 1 + .15 x 1 = .25 + .098846 + .30
    assert forecast.confidence == pytest.approx(0.648846, abs=1e-6)
    assert [task.similarity for task in forecast.similar] == pytest.approx([1, 1, 0.88, 0.88, 0.88])
    assert [task.call_id for task in forecast.similar] == ["1", "0", "4", "3", "2"]
    assert (forecast.strategy, forecast.support) == ("similarity", 5)
    assert forecast.group == ("a", "bug-fix", "gpt-x")


def test_adjustments_apply_to_the_mean() -> None:
    """The mean of similar tasks is multiplied; one hardly similar leaves it to the heuristic."""
    seen = replace(BASE, complexity=5.0, uncertainty=0.9, criticality=1.0, novelty=1.0)
    asked = replace(BASE, complexity=95.0, criticality=0.0, domains=frozenset())
    predictor = with_history([(replace(seen, domains=frozenset()), 2_000)] * 5)
    # plain: .30 x .1 = .03; .25 (no domains on either side); .20; .075 x .3 = .0225; .10 x 0:
    # .5025 / .925 = .543243, novelty .456757: no multiplier; similar? .5025 + .075 x .456757
    # = .536757 < .6, so the heuristic steps in: 1,000 + 80 x 95 = 8,600 x 1.3
    assert predictor.predict_one(call(asked)).recommended == 11_180
    near = replace(asked, criticality=1.0)
    # plain .6025 / .925 = .651351, novelty .348649; + .075 x (1 - |1 - .348649|) = .026149
    forecast = predictor.predict_one(call(near))
    assert forecast.similar[0].similarity == pytest.approx(0.628649, abs=1e-6)
    # 2,000 x 1.4 (criticality 1) x 1.3 (complexity 95)
    assert forecast.recommended == 3_640


def test_budgets_keep_to_the_clamp() -> None:
    """A mean of 50 tokens is raised to 1,000, one of 50,000 lowered to 32,000."""
    assert with_history([(BASE, 50)] * 5).predict_one(call()).recommended == 1_000
    assert with_history([(BASE, 50_000)] * 5).predict_one(call()).recommended == 32_000


def test_fewer_than_five_similar_tasks_fall_back_to_the_heuristic() -> None:
    """Four similar tasks give the heuristic's number, named so, with them and their facts."""
    forecast = with_history([(BASE, 3_000)] * 4).predict_one(call())
    assert (forecast.strategy, forecast.source) == ("heuristic", "heuristic")
    assert forecast.recommended == 5_000  # 1,000 + 80 x 50
    assert (forecast.support, len(forecast.similar)) == (4, 4)
    # 4/20 + .3 x (1 - 0) + .15 x 1 + .15 x (1 - 0)
    assert forecast.confidence == pytest.approx(0.8)
    assert with_history([(BASE, 3_000)] * 5).predict_one(call()).strategy == "similarity"


def test_no_history_knows_nothing() -> None:
    """Without a row everything is new, nothing similar and confidence 0."""
    predictor = Similarity()
    forecast = predictor.predict_one(call())
    assert (forecast.novelty, forecast.confidence, forecast.similar) == (1.0, 0.0, ())
    assert forecast.strategy == "heuristic"
    assert predictor.novelty(call()) == 1.0
    assert predictor.similar(call()) == ()


def test_only_the_last_30_days_are_recent() -> None:
    """The share of recent tasks adds .15 at most, by the age of the similar ones."""
    predictor = Similarity(10)
    days = [1, 29.9, 30, 31, 300]
    for day in days:
        predictor.learn_one(call(), Observation(2_000, False, NOW - day * 86_400))
    # 5/20 + .3 + .15 x 3/5 + .15
    assert predictor.predict_one(call()).confidence == pytest.approx(0.79)


def test_variation_above_one_counts_as_one() -> None:
    """Wildly spread lengths take the whole .3 and no more; lengths of 0 vary by 1."""
    spread = with_history([(BASE, 1)] * 9 + [(BASE, 30_000)]).predict_one(call())
    # 10/20 counts .4; mean 3,000.9, deviation about 9,000, so variation about 3: .4 + .15 + .15
    assert spread.confidence == pytest.approx(0.7)
    assert with_history([(BASE, 0)] * 5).predict_one(call()).confidence == pytest.approx(0.55)


def test_an_agent_sees_its_own_rows_if_five_are_similar() -> None:
    """Its own five similar rows are enough; with four it sees those of all agents."""
    predictor = with_history([(BASE, 10_000)] * 10, agent="other")
    for _ in range(4):
        predictor.learn_one(call(), Observation(2_000, False, NOW), "own")
    # (10 x 10,000 + 4 x 2,000) / 14 = 7,714.3
    assert predictor.predict_one(call()).recommended == 7_714
    predictor.learn_one(call(), Observation(2_000, False, NOW), "own")
    assert predictor.predict_one(call()).recommended == 2_000
    assert {task.call_id for task in predictor.similar(call(), 20)} == {"own"}
    assert len(predictor.similar(call(agent="third"), 20)) == 15


def test_at_most_twenty_count_and_of_equals_the_newest() -> None:
    """Of 30 equal rows the newest 20 are taken, newest first, also once the ring has turned."""
    predictor = Similarity(30)
    for at in range(45):
        predictor.learn_one(call(), Observation(2_000 + at, False, NOW), str(at))
    forecast = predictor.predict_one(call())
    assert [task.call_id for task in forecast.similar] == [str(at) for at in range(44, 24, -1)]
    assert forecast.recommended == 2_034  # 2,025 to 2,044: mean 2,034.5, rounded to even
    assert [task.call_id for task in predictor.similar(call(), 3)] == ["44", "43", "42"]
    assert predictor.similar(call(), 0) == ()


def test_the_window_forgets_the_oldest() -> None:
    """A row that has left the window makes its task new again."""
    predictor = Similarity(2)
    rare = replace(BASE, task_type="review", domains=frozenset({"devops"}), complexity=0.0)
    predictor.learn_one(call(rare), Observation(500, False, NOW))
    assert predictor.novelty(call(rare)) == 0.0
    for _ in range(2):
        predictor.learn_one(call(), Observation(500, False, NOW))
    # .30 x .5 + .25 x 0 + .20 x 0 + .075 + .10 = .325, / .925 = .351351
    assert predictor.novelty(call(rare)) == pytest.approx(0.648649, abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other", "match"),
    [
        ("bug-fix", "bug-fix", 1.0), ("bug-fix", "refactoring", 0.5), ("review", "analysis", 0.5),
        ("question", "documentation", 0.5), ("review", "bug-fix", 0.0), ("epic", "epic", 1.0),
        ("epic", "saga", 0.0), ("epic", "bug-fix", 0.0), ("bug-fix", "epic", 0.0),
    ],
)  # fmt: skip
def test_task_types_match_exactly_or_by_family(one: str, other: str, match: float) -> None:
    """Equal types match 1, those of one family .5, all others 0; unknown types have no family."""
    predictor = with_history([(replace(BASE, task_type=one), 1_000)])
    # all else equal: .725 + .20 x match of .925
    novelty = 1 - (0.725 + 0.20 * match) / 0.925
    assert predictor.novelty(call(replace(BASE, task_type=other))) == pytest.approx(
        novelty, abs=1e-6
    )


def test_a_censored_length_enters_as_the_bound_it_is() -> None:
    """A truncated row counts with the tokens seen: a lower bound, as the docstring states."""
    predictor = Similarity(10)
    for _ in range(5):
        predictor.learn_one(call(), Observation(4_096, True, NOW))
    assert predictor.predict_one(call()).recommended == 4_096


def test_predicting_changes_nothing() -> None:
    """Two predictions in a row are equal, and so is one by a second predictor of that history."""
    rows = [(replace(BASE, complexity=float(at)), 100 * at) for at in range(40)]
    one, two = with_history(rows), with_history(rows)
    assert one.predict_one(call()) == one.predict_one(call()) == two.predict_one(call())


def test_a_window_holds_at_least_one_row() -> None:
    """A window of nothing is a wrong value."""
    with pytest.raises(InvalidInput, match="at least 1 row, not 0"):
        Similarity(0)


RELATED = [
    {"code-generation", "refactoring", "bug-fix", "testing"},
    {"review", "analysis"},
    {"documentation", "conversation", "question"},
]
TASKS = st.builds(
    Characteristics,
    complexity=st.sampled_from([0.0, 12.5, 50.0, 99.0]),
    domains=st.frozensets(st.sampled_from(DOMAINS), max_size=3),
    task_type=st.sampled_from([*TASK_TYPES, "epic"]),
    novelty=st.sampled_from([0.0, 0.5, 1.0]),
    uncertainty=st.sampled_from([0.0, 0.35, 0.7]),
    criticality=st.sampled_from([0.1, 0.7, 1.0]),
)


def plain(one: Characteristics, other: Characteristics) -> float:
    """The weighted similarity without novelty's part, term by term as the mission writes it."""
    either = one.domains | other.domains
    jaccard = len(one.domains & other.domains) / len(either) if either else 1.0
    match = 1.0 if one.task_type == other.task_type else 0.0
    if not match and any({one.task_type, other.task_type} <= family for family in RELATED):
        match = 0.5
    return (
        0.30 * (1 - abs(one.complexity - other.complexity) / 100)
        + 0.25 * jaccard
        + 0.20 * match
        + 0.15 * (1 - abs(one.uncertainty - other.uncertainty)) / 2
        + 0.10 * (1 - abs(one.criticality - other.criticality))
    )


@given(st.lists(TASKS, min_size=1, max_size=40), TASKS)
def test_the_arrays_agree_with_the_formula(
    history: list[Characteristics], asked: Characteristics
) -> None:
    """Novelty and the similar tasks are those of the formula, computed row by row."""
    predictor = with_history([(task, at) for at, task in enumerate(history)])
    novelty = 1 - max(plain(asked, task) for task in history) / 0.925
    assert predictor.novelty(call(asked)) == pytest.approx(max(novelty, 0.0), abs=2e-6)
    exact = [plain(asked, task) + 0.15 * (1 - abs(task.novelty - novelty)) / 2 for task in history]
    found = predictor.similar(call(asked), 10)
    expected = sorted((value for value in exact if value >= 0.6), reverse=True)[:10]
    assert [task.similarity for task in found] == pytest.approx(expected, abs=1e-6)
    assert [exact[int(task.call_id)] for task in found] == pytest.approx(expected, abs=1e-6)
