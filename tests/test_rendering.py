from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.numbers import percent, short
from budget_proxy.analytics.rendering import svg
from budget_proxy.analytics.rendering.blocks import (
    LONGEST_NAME,
    Bars,
    Block,
    Command,
    Courses,
    Entry,
    Facts,
    Forecast,
    Heading,
    Lines,
    Note,
    Point,
    Promises,
    Table,
    Tile,
    Tiles,
    named,
)
from budget_proxy.analytics.rendering.document import document, span
from budget_proxy.analytics.rendering.markdown import escaped, markdown
from budget_proxy.analytics.rendering.page import page
from budget_proxy.analytics.report import Report, make_report
from budget_proxy.store.memory import MemoryStore
from tests.command_line import answered
from tests.makers import NOW

DAY = 86_400.0
HOSTILE = [
    "<script>document.title='pwned'</script>",
    '"><img src=x onerror=alert(1)>',
    "a | b `c` *d* [e](https://example.org) @everyone &lt;",
    "line\nbreak\x1b[31m\u202egnp",
    "javascript:alert(1)",
]


class Reader(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it, and that it is open unless it never closes."""
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it: it is closed already."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """It closes what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Texts outside of the style sheet."""
        if self.open[-1:] != ["style"]:
            self.texts.append(data)


def report(*agents: str, **given: Any) -> Report:
    """A report on forty days of calls of these agents, some of them cut."""
    store = MemoryStore()
    store.append(
        [
            answered(
                number,
                ts=NOW - number * DAY / 3,
                call_id=f"c{number} {agents[number % len(agents)]}",
                agent=agents[number % len(agents)],
                model=agents[-1 - number % len(agents)],
                truncated=number % 7 == 0,
                **given,
            )
            for number in range(120)
        ]
    )
    return make_report(store, now=NOW + 1, zone=ZoneInfo("Europe/Berlin"))


def test_a_page_is_well_formed_and_asks_for_nothing() -> None:
    """No script, no link, no image, no address but the namespace-free SVG's own parts."""
    found = report("coder", "writer")
    reader = Reader(page("Token budgets", span(found), document(found)))
    assert reader.open == []
    kinds = {tag for tag, _ in reader.tags}
    assert not kinds & {"script", "link", "img", "iframe", "object", "embed", "a", "form", "base"}
    assert {"svg", "table", "h1", "h2", "figure"} <= kinds
    attributes = {name for _, attrs in reader.tags for name in attrs}
    assert not attributes & {"src", "href", "srcset", "style", "action"}
    assert not [name for name in attributes if name.startswith("on")]
    policy = next(attrs for tag, attrs in reader.tags if attrs.get("http-equiv"))
    assert (policy["content"] or "").startswith("default-src 'none'")
    text = " ".join(reader.texts)
    for part in ("Europe/Berlin", "over-allocation rate", "Top spenders by agent", "coder"):
        assert part in text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names_in_a_page(name: str) -> None:
    """Whatever somebody calls an agent, a model or a call, it is text and nothing else."""
    plain, hostile = (
        Reader(page("t", span(found), document(found, "group")))
        for found in (report("harmless"), report(name))
    )
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert named(name) in hostile.texts
    assert hostile.open == []


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names_in_markdown(name: str) -> None:
    """Every row keeps its cells, and no character of the name is markup."""
    found = report(name)
    text = markdown("t", span(found), document(found, "group"))
    for table in re.split(r"\n\n", text):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1
    assert escaped(named(name)) in text
    assert not re.search(r"(?<!\\)[<`\[@]", text)


def test_markdown_by_hand() -> None:
    """GitHub's tables, numbers to the right."""
    blocks: list[Block] = [
        Heading("Part_1"),
        Facts((("Calls", "3"),)),
        Table("T", ("name", "n"), (("a|b", "*1"),)),
        Note("1 < 2"),
        Lines("no", ("x",), (("s", (1.0,)),), percent),
    ]
    assert markdown("R", "today", blocks) == (
        "# R\n\ntoday\n\n## Part\\_1\n\n|  |  |\n|---|---|\n| Calls | 3 |\n\n"
        "### T\n\n| name | n |\n|---|--:|\n| a\\|b | \\*1 |\n\n1 \\< 2\n"
    )


def test_markdown_of_what_commands_tell_by_hand() -> None:
    """A line with a kind is a table; a command's fence is longer than any within it."""
    lines = Lines("L", ("Mon", "Tue"), (("use", (0.5, None)),), percent, "day")
    blocks: list[Block] = [
        lines,
        Courses(Table("C", ("who", "n"), (("a", "1"),)), (lines,)),
        Entry("E", (("", "all"), ("Do:", "x*"))),
        Command("run '```'"),
        Forecast("no", ("Mon",), (1.0,), (None,), percent),
    ]
    assert markdown("R", "today", blocks) == (
        "# R\n\ntoday\n\n### L\n\n| day | use |\n|---|--:|\n| Mon | 50 % |\n| Tue | - |\n\n"
        "### C\n\n| who | n |\n|---|--:|\n| a | 1 |\n\n"
        "### E\n\n|  |  |\n|---|---|\n|  | all |\n| Do: | x\\* |\n\n"
        "``````sh\nrun '```'\n``````\n"
    )


def test_names_are_on_one_line_and_not_endless() -> None:
    """Control characters, and those that turn a line around, are replaced."""
    assert named("a\x1b[31m\n\u202eb", "c") == "a\ufffd[31m\ufffd\ufffdb / c"
    assert len(named("x" * 500)) == LONGEST_NAME


def test_tiles_and_tables_of_a_page() -> None:
    """Each with its texts; the first column of a table is text, the others numbers."""
    blocks: list[Block] = [
        Tiles((Tile("accuracy", "80 %", "fine"),)),
        Table("T", ("a", "b"), (("x", "1"),)),
    ]
    text = page("t", "s", blocks)
    assert '<div class="tile">accuracy<b>80 %</b><small>fine</small></div>' in text
    assert '<tr><td class="text">x</td><td>1</td></tr>' in text


def numbers(drawn: str, mark: str, *names: str) -> list[tuple[float, ...]]:
    """The attributes of every mark of a kind in a plot."""
    reader = Reader(drawn)
    return [
        tuple(float(attrs[name] or 0) for name in names)
        for tag, attrs in reader.tags
        if tag == mark and attrs.get("class") != "key line-0"
    ]


def test_bars_are_as_high_as_their_values() -> None:
    """5 and 10 of an axis to 10: half of it, and all; nothing where nothing is known."""
    drawn = svg.bars(Bars("t", "day", "calls", ("a", "b", "c"), (5.0, None, 10.0), short))
    (low, half), (high, whole) = numbers(drawn, "rect", "y", "height")
    assert whole == pytest.approx(2 * half)
    assert low + half == pytest.approx(high + whole)
    assert "<title>c: 10</title>" in drawn


def test_lines_leave_gaps() -> None:
    """Two pieces of a line where a value is missing, and a point for each value."""
    drawn = svg.lines(Lines("t", ("a", "b", "c", "d"), (("s", (0.1, 0.2, None, 0.4)),), percent))
    (path,) = [
        attrs["d"] or "" for tag, attrs in Reader(drawn).tags if attrs.get("class") == "line line-0"
        and tag == "path"
    ]  # fmt: skip
    assert (path.count("M"), path.count("L")) == (2, 1)
    assert len(numbers(drawn, "circle", "cx")) == 3
    assert "<title>d, s: 40 %</title>" in drawn


def test_forecasts_are_bars_and_then_points_within_their_intervals() -> None:
    """4 was, 8 comes within 6 and 10: on an axis to 10 the band is from .6 to 1 of the height."""
    drawn = svg.forecast(Forecast("t", ("a", "b"), (4.0, 8.0), (None, (6.0, 10.0)), short))
    bar, band = (
        (float(attrs["y"] or 0), float(attrs["height"] or 0))
        for tag, attrs in Reader(drawn).tags if tag == "rect"
    )  # fmt: skip
    floor, tenth = sum(bar), bar[1] / 4
    assert sum(band) == pytest.approx(floor - 6 * tenth, abs=0.1)
    assert band[0] == pytest.approx(floor - 10 * tenth, abs=0.2)
    ((_, middle),) = numbers(drawn, "circle", "cx", "cy")
    assert middle == pytest.approx(floor - 8 * tenth, abs=0.1)
    assert "<title>b: 8 (6 to 10)</title>" in drawn


def test_promises_that_hold_lie_on_the_diagonal() -> None:
    """At 25 % and at 75 %; what held less lies below it."""
    points = (Point(0.25, 0.25, 0.2, 0.3, 10), Point(0.75, 0.75, 0.7, 0.8, 40))
    drawn = svg.promises(Promises("t", "promised", "held", points))
    corners = re.search(r'd="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', drawn)
    assert corners is not None
    left, bottom, right, top = map(float, corners.groups())
    for (x, y, radius), share in zip(
        numbers(drawn, "circle", "cx", "cy", "r"), (0.25, 0.75), strict=True
    ):
        assert x == pytest.approx(left + share * (right - left), abs=0.1)
        assert y == pytest.approx(bottom + share * (top - bottom), abs=0.1)
        assert radius == pytest.approx(4.5 if share == 0.25 else 6.5)


@given(st.lists(st.none() | st.floats(0, 1e12), max_size=60))
def test_every_mark_lies_within_its_plot(values: list[float | None]) -> None:
    """Whatever the values; names never run out of it nor into each other."""
    names = tuple(f"2026-11-{number:02d}" for number in range(len(values)))
    amounts = tuple(value or 0.0 for value in values)
    bands = tuple(value if value is None else (value - 1, value * 2) for value in values)
    for drawn in (
        svg.bars(Bars("t", "day", "n", names, tuple(values), short)),
        svg.lines(Lines("t", names, (("s", tuple(values)), ("u", tuple(values))), short)),
        svg.forecast(Forecast("t", names, amounts, bands, short)),
    ):
        reader = Reader(drawn)
        assert reader.open == []
        _, _, width, height = map(float, (reader.tags[0][1]["viewbox"] or "").split())
        for _, attrs in reader.tags:
            for name, most in (("x", width), ("cx", width), ("y", height), ("cy", height)):
                assert 0 <= float(attrs.get(name) or 0) <= most
        middles = [float(a["x"] or 0) for t, a in reader.tags if a.get("class") == "middle"]
        assert all(after - before > 60 for before, after in pairwise(middles))


def test_an_empty_report_is_one_sentence() -> None:
    """In each of its forms."""
    found = make_report(MemoryStore(), now=NOW, zone=ZoneInfo("UTC"))
    assert document(found) == [Note("No calls in this time.")]
    assert "No calls" in page("t", span(found), document(found))
