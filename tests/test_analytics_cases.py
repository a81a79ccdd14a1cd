from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.analytics import causes
from budget_proxy.analytics.cases import MOST_AN_HOUR, SPAN, Cases, Finding, Notice
from budget_proxy.analytics.scopes import Scope
from budget_proxy.analytics.signs import signs
from budget_proxy.store.alerts import seen
from tests.makers import NOW, record

GROUP: Scope = ("coder", "bug-fix", "model-1")
SAME_MODEL: Scope = ("reviewer", "review", "model-1")
ELSEWHERE: Scope = ("writer", "documentation", "model-2")


def finding(cause: str, scope: Scope = GROUP, *, after: float = 0.0, **figures: Any) -> Finding:
    """An alarm ``after`` seconds from NOW."""
    return Finding(cause, scope, NOW + after, NOW + after, 1, 9, 9, figures)


def told(notices: list[Notice]) -> list[tuple[str, str, Scope]]:
    """Change, cause and scope of each."""
    return [(change, alert.cause, alert.scope) for change, alert in notices]


def pass_by(cases: Cases, count: int, *, calm: bool = False, start: float = 0.0) -> list[Notice]:
    """Calls of GROUP, a second apart."""
    notices = []
    for number in range(count):
        call = signs(seen(record(ts=NOW + start + number, id=number)), first=True)
        notices += cases.pass_(GROUP, call, lambda *_: calm)
    return notices


def test_the_same_finding_again_is_no_second_alert() -> None:
    """It adds to the alert that is open."""
    cases = Cases()
    assert told(cases.file(finding(causes.LONGER, factor=1.5))) == [
        ("raised", causes.LONGER, GROUP)
    ]
    assert told(cases.file(finding(causes.LONGER, factor=1.6))) == [
        ("updated", causes.LONGER, GROUP)
    ]
    (alert,) = cases.alerts
    assert alert.figures["factor"] == 1.6


def test_what_a_cause_explains_is_its_symptom() -> None:
    """Cuts and misfits that begin with longer answers belong to them, in its numbers and words."""
    cases = Cases()
    cases.file(finding(causes.LONGER, factor=1.5))
    cases.file(finding(causes.TRUNCATION, share=0.2))
    cases.file(finding(causes.UNDER, (None, None, "model-1")))
    (alert,) = cases.alerts
    assert alert.figures["symptoms"].keys() == {causes.TRUNCATION, causes.UNDER}
    assert "With it came: truncation, under-allocation." in alert.text


def test_what_a_cause_does_not_explain_is_an_alert_of_its_own() -> None:
    """Longer answers do not make tokens dearer; nor do they elsewhere explain anything."""
    cases = Cases()
    cases.file(finding(causes.LONGER))
    assert told(cases.file(finding(causes.PRICE)))[0][0] == "raised"
    assert told(cases.file(finding(causes.TRUNCATION, ELSEWHERE)))[0][0] == "raised"


def test_a_symptom_that_begins_long_after_is_an_alert_of_its_own() -> None:
    """Once 400 calls have passed what begins then is something else; what goes on is not."""
    cases = Cases()
    cases.file(finding(causes.LONGER))
    cases.file(finding(causes.COVERAGE, after=5))
    pass_by(cases, SPAN)
    assert told(cases.file(finding(causes.COVERAGE, after=SPAN + 10))) == [
        ("updated", causes.LONGER, GROUP)
    ]
    assert told(cases.file(finding(causes.TRUNCATION, after=SPAN + 10))) == [
        ("raised", causes.TRUNCATION, GROUP)
    ]


def test_a_stronger_cause_takes_the_weaker_alert_over() -> None:
    """The alert keeps its number; the weaker cause becomes a symptom, a second alert its part."""
    cases = Cases()
    cases.file(finding(causes.TRUNCATION, share=0.2))
    cases.file(finding(causes.OVER, SAME_MODEL))
    notices = cases.file(finding(causes.LONGER, (None, None, "model-1"), factor=2.1))
    assert told(notices) == [
        ("resolved", causes.OVER, SAME_MODEL),
        ("escalated", causes.LONGER, (None, None, "model-1")),
    ]
    (alert,) = cases.alerts
    assert (alert.id, alert.severity) == (1, "critical")
    assert alert.figures["symptoms"].keys() == {causes.TRUNCATION, causes.OVER}


def test_two_parts_of_a_model_are_the_model() -> None:
    """A second group of the model at about the same time: one alert, on the model."""
    cases = Cases()
    cases.file(finding(causes.SHORTER))
    notices = cases.file(finding(causes.SHORTER, SAME_MODEL))
    assert told(notices) == [("escalated", causes.SHORTER, (None, None, "model-1"))]


def test_two_parts_at_different_times_are_two_alerts() -> None:
    """A group that follows after 400 calls is not put down to the model."""
    cases = Cases()
    cases.file(finding(causes.SHORTER))
    pass_by(cases, SPAN)
    notices = cases.file(finding(causes.SHORTER, SAME_MODEL, after=SPAN + 10))
    assert told(notices) == [("raised", causes.SHORTER, SAME_MODEL)]


def test_a_wider_finding_takes_up_the_alerts_within_it() -> None:
    """The alert of a group widens to the model; another group's alert becomes part of it."""
    cases = Cases()
    cases.file(finding(causes.TRUNCATION))
    pass_by(cases, SPAN)
    cases.file(finding(causes.TRUNCATION, SAME_MODEL, after=SPAN + 10))
    notices = cases.file(finding(causes.TRUNCATION, (None, None, "model-1"), after=SPAN + 20))
    assert told(notices) == [
        ("resolved", causes.TRUNCATION, SAME_MODEL),
        ("escalated", causes.TRUNCATION, (None, None, "model-1")),
    ]


def test_the_opposite_ends_an_old_alert_and_is_part_of_a_new_one() -> None:
    """Shorter right after longer is its echo; long after it is a change back."""
    cases = Cases()
    cases.file(finding(causes.LONGER))
    assert told(cases.file(finding(causes.SHORTER))) == [("updated", causes.LONGER, GROUP)]
    cases = Cases()
    cases.file(finding(causes.LONGER))
    pass_by(cases, SPAN)
    assert told(cases.file(finding(causes.SHORTER, after=SPAN + 10))) == [
        ("resolved", causes.LONGER, GROUP),
        ("raised", causes.SHORTER, GROUP),
    ]


def test_more_alerts_than_a_few_an_hour_are_counted_in_one() -> None:
    """The eleventh within an hour is held back, and so is the same again; later it is raised."""
    cases = Cases()
    for number in range(MOST_AN_HOUR):
        cases.file(finding(causes.OVER, (f"a{number}", "review", f"m{number}")))
    assert told(cases.file(finding(causes.OVER))) == [("raised", causes.HELD, (None, None, None))]
    assert cases.file(finding(causes.OVER)) == []
    cases.file(finding(causes.UNPRICED, ELSEWHERE))
    held = cases.alerts[-1]
    assert held.figures["held"] == {causes.OVER: 1, causes.UNPRICED: 1}
    notices = cases.file(finding(causes.OVER, after=3_601))
    assert told(notices) == [("raised", causes.OVER, GROUP)]


def test_an_alert_is_over_after_a_hundred_quiet_calls_in_a_row() -> None:
    """A sign in between begins the count anew."""
    cases = Cases()
    cases.file(finding(causes.TRUNCATION))
    assert pass_by(cases, 99, calm=True) == []
    assert pass_by(cases, 1, calm=False) == []
    assert pass_by(cases, 99, calm=True) == []
    assert told(pass_by(cases, 1, calm=True)) == [("resolved", causes.TRUNCATION, GROUP)]
    assert cases.alerts == []


def test_calls_of_others_do_not_end_an_alert() -> None:
    """Only calls that the alert is about count."""
    cases = Cases()
    cases.file(finding(causes.TRUNCATION, ELSEWHERE))
    assert pass_by(cases, 500, calm=True) == []


def test_a_limit_that_is_neared_is_one_alert_until_it_is_well_left() -> None:
    """80 % raises, 95 % escalates, 75 % changes nothing, below 70 % it is over."""
    cases = Cases()
    assert cases.limit("team, day", 79, 100, NOW, 1) == []
    steps = [(80, "raised"), (96, "escalated"), (75, "updated"), (69, "resolved")]
    for used, change in steps:
        (notice,) = cases.limit("team, day", used, 100, NOW, 1)
        assert notice.change == change
    (other,) = cases.limit("other", 85, 100, NOW, 1)
    assert (other.change, other.alert.id) == ("raised", 2)
    assert "The limit other is used to 85 % (85 of 100)" in other.alert.text


def test_limits_are_alerts_apart() -> None:
    """Two limits that are neared are two alerts."""
    cases = Cases()
    cases.limit("one", 90, 100, NOW, 1)
    cases.limit("two", 90, 100, NOW, 1)
    assert [alert.figures["limit"] for alert in cases.alerts] == ["one", "two"]


@pytest.mark.parametrize("cause", causes.CAUSES)
def test_every_cause_has_words(cause: str) -> None:
    """With no figures at all a text still says whose calls, or what it is about."""
    text = causes.text_of(cause, GROUP, {})
    assert len(text) > 60
    assert text.endswith(".")
