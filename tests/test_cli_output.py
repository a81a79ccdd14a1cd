from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType

import pytest

from budget_proxy.cli import output
from budget_proxy.cli.options import seconds_of, store_url
from budget_proxy.errors import InvalidInput


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"), (0, "0"), (950, "950"), (999, "999"), (1000, "1k"), (12_345, "12.3k"),
        (999_499, "999k"), (999_500, "1M"), (4_560_000, "4.56M"), (2e9, "2G"),
    ],
)  # fmt: skip
def test_counts_are_short(number: float | None, text: str) -> None:
    """Three significant digits; unknown is a dash."""
    assert output.short(number) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "-"), (0.0, "$0.00"), (1234.5, "$1,234.50"), (0.5, "$0.50"), (0.034, "$0.034"),
        (0.000012, "$0.000012"),
    ],
)  # fmt: skip
def test_small_amounts_keep_two_digits(amount: float | None, text: str) -> None:
    """A tenth of a cent is not $0.00."""
    assert output.dollars(amount) == text


def test_percentages_and_moments() -> None:
    """Unknown is a dash; times are UTC: 1.8e9 is 20,833 days and 8 hours."""
    assert (output.percent(0.256), output.percent(0.256, 1)) == ("26 %", "25.6 %")
    assert output.percent(None) == output.moment(None) == "-"
    assert output.moment(1_800_000_000) == "2027-01-15 08:00"


def test_bars_are_exact_to_an_eighth_of_a_character() -> None:
    """And plain where the terminal knows no blocks; never wider than asked."""
    assert output.bar(0.5, 4) == "██"
    assert output.bar(0.5 + 3 / 32, 4) == "██▍"  # 3/32 of 4 characters are 3/8 of one
    assert output.bar(0.0, 4) == ""
    assert output.bar(7.0, 4) == "████"
    assert output.bar(0.5, 4, ascii_only=True) == "##"


@dataclass(frozen=True, slots=True)
class _Thing:
    names: frozenset[str]
    facts: MappingProxyType[str, float]


def test_json_of_what_our_values_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """Sets in order, read-only mappings, and null for what is no number."""
    output.print_json(_Thing(frozenset("ba"), MappingProxyType({"x": float("nan")})))
    assert json.loads(capsys.readouterr().out) == {"names": ["a", "b"], "facts": {"x": None}}


def test_only_the_first_column_of_a_table_gives_way(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers are never cut."""
    rows = [("a" * 100, "123,456,789", "99 %")]
    output.console().print(output.table("Title", ("name", "count", "share"), rows))
    printed = capsys.readouterr().out
    assert "123,456,789" in printed
    assert "99 %" in printed
    assert "…" in printed
    assert max(len(line) for line in printed.splitlines()) <= 80


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600), ("0D", 0)],
)
def test_spans_of_time(text: str, seconds: int) -> None:
    """A number and a unit."""
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-7d", "1.5h", "7 d", "\u0667d", "7y"])
def test_odd_spans_are_refused(text: str) -> None:
    """The message shows a right one."""
    with pytest.raises(InvalidInput, match="7d"):
        seconds_of(text)


def test_the_history_is_the_option_else_the_setting_else_the_users_data_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In that order."""
    assert store_url(None).startswith("sqlite:///")
    assert store_url(None).endswith("budget_proxy/history.db")
    monkeypatch.setenv("BUDGET_PROXY_STORE", "sqlite:///from-env.db")
    assert store_url(None) == "sqlite:///from-env.db"
    assert store_url("memory:") == "memory:"
