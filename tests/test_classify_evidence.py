"""Evidence is named when it is asked for, and is a mapping like any other."""

from __future__ import annotations

from budget_proxy.classify.cues import TABLES
from budget_proxy.classify.evidence import Evidence, one
from budget_proxy.classify.scan import Hit

TIMES = "\N{MULTIPLICATION SIGN}"
CUE = TABLES["creative"][0]


def test_names_come_in_order_with_place_and_count() -> None:
    """Cues and counts of one characteristic follow each other as they were found."""
    hits = {CUE: Hit(1.0, "keyword", 2)}
    evidence = Evidence({"creative": (hits, ("structure", {"images": 3, "tools": 0}))})
    assert evidence["creative"] == (f"keyword:{CUE.name}{TIMES}2", f"structure:images{TIMES}3")


def test_what_was_not_found_is_no_evidence() -> None:
    """A characteristic without findings is not in the mapping at all."""
    evidence = Evidence({"creative": ({},), "domains": (one("descriptor", "domains", 2),)})
    assert evidence == {"domains": (f"descriptor:domains{TIMES}2",)}
    assert list(evidence) == ["domains"]
    assert len(evidence) == 1


def test_it_shows_what_it_holds() -> None:
    """Its representation is that of a dictionary with the same names."""
    held = {"a": (f"structure:brief{TIMES}1",)}
    assert repr(Evidence({"a": (one("structure", "brief"),)})) == repr(held)
