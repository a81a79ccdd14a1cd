"""Made-up calls with prompts of about 1 KB, each unlike all before it, for either API."""

from __future__ import annotations

import itertools
from typing import Any

from answers import CHAT, MESSAGES, MODELS

Turns = list[dict[str, str]]
Body = dict[str, Any]

SYSTEM = "You are a careful reviewer of Python code. Answer in short paragraphs."
_TEXT = """
The service stores orders in PostgreSQL. Since the last deployment some customers report that
their order totals are wrong by a few cents when a discount code applies. The sum is made in
`apply_discount`, which uses floats:

```python
def apply_discount(total: float, percent: float) -> float:
    return round(total * (1 - percent / 100), 2)
```

Say what is wrong with it, and whether callers can keep passing floats for a while.

1. Name the cause of the wrong totals.
2. Suggest a change that keeps the public API as it is.
3. List the edge cases, such as 100 % discounts and very small totals.

Explain each step in two or three sentences, and leave the database schema alone. The team
prefers Decimal in new code, but existing callers pass floats, so they have to be supported for
a while. Consider also what happens when the discount is applied twice, and whether rounding
should follow the rules of the accounting department."""
_numbers = itertools.count()


def _prompt() -> str:
    number = next(_numbers)
    return f"Please review change {number}.{_TEXT[: len(_TEXT) - number * 7 % 101]}"


def opening() -> Turns:
    """A conversation's first call."""
    return [{"role": "user", "content": _prompt()}]


def turn() -> Turns:
    """A later call of one and the same conversation."""
    return [
        {"role": "user", "content": "Hello, I have some changes for you to review."},
        {"role": "assistant", "content": "Show them to me, please."},
        {"role": "user", "content": _prompt()},
    ]


def chat(turns: Turns) -> Body:
    """The arguments of a chat completion."""
    return {"model": MODELS[CHAT], "messages": [{"role": "system", "content": SYSTEM}, *turns]}


def messages(turns: Turns) -> Body:
    """The arguments of an Anthropic message."""
    return {"model": MODELS[MESSAGES], "max_tokens": 16_384, "system": SYSTEM, "messages": turns}
