"""Lists page by page: each page goes on after the last item of the one before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from pydantic import Field

from budget_proxy.proxy.admin.question import Question

MOST: Final = 1_000
"""What is on a page at most."""

_Item = TypeVar("_Item")


class Paged(Question):
    """Questions that are answered page by page."""

    limit: int = Field(100, ge=1, le=MOST, description="How many are on a page, at most.")


def page_of(
    items: Sequence[_Item], limit: int, cursor: Callable[[_Item], str]
) -> tuple[tuple[_Item, ...], str | None]:
    """The first ``limit`` of the items that are left, and the cursor that goes on after them."""
    page = tuple(items[:limit])
    return page, cursor(page[-1]) if len(items) > limit else None
