"""Removing our own key from a body: a step of its own, which runs when planning is off too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from budget_proxy.scope import BODY_KEY
from budget_proxy.types import Body


def strip(body: Mapping[str, Any]) -> tuple[Body, Any]:
    """A copy without our ``budget`` key, and that key's value (``None`` if it was not there)."""
    copy = dict(body)
    return copy, copy.pop(BODY_KEY, None)
