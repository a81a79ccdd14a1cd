"""What callers say about their calls: ``with budget(...)``, a ``budget`` key, or headers.

All three end as one (Scope, Override) pair. Wrong values are the caller's errors and say
what to write instead; unknown names are errors too, so that a typo never passes silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from itertools import islice
from typing import Any, Final, TypeVar, get_args

from budget_proxy.errors import InvalidInput
from budget_proxy.run_types import Extend
from budget_proxy.types import CallRecord, Mode, Override, Plan, Scope, Usage

BODY_KEY: Final = "budget"
HEADER_PREFIX: Final = "x-budget-"
EFFORTS: Final = ("auto", "none", "minimal", "low", "medium", "high", "xhigh", "max")
MOST_TOKENS: Final = 1_000_000_000
"""More than any call or task can use; a larger number is a mistake."""
MOST_TAGS: Final = 32
"""A limit by tag has an account for each, which a call reserves of."""
MODES: Final = get_args(Mode)
_SCOPE_NAMES: Final = ("agent", "session", "run", "task", "user")
_T = TypeVar("_T", Scope, Override)
_EMPTY: Final[Mapping[type, Any]] = {Scope: Scope(), Override: Override()}


@dataclass(frozen=True, slots=True)
class CallReport:
    """One attempt as its caller sees it: the plan, what it used, what it cost."""

    plan: Plan
    record: CallRecord
    price: Callable[[CallRecord], CallRecord]

    @property
    def call_id(self) -> str:
        """The call's id, the same for all its attempts."""
        return self.record.call_id

    @property
    def usage(self) -> Usage:
        """The tokens that the attempt is accounted at."""
        row = self.record
        return Usage(
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            reasoning_tokens=row.reasoning_tokens,
            cache_read_tokens=row.cache_read_tokens,
            cache_write_tokens=row.cache_write_tokens,
        )

    @property
    def cost(self) -> float | None:
        """US dollars; ``None`` where the model's price is unknown."""
        return self.price(self.record).cost


@dataclass(slots=True)
class Budget:
    """What ``with budget(...)`` binds: the values given, and the calls made under them."""

    scope: Scope = Scope()
    override: Override = Override()
    calls: list[CallReport] = field(default_factory=list)


_current: ContextVar[Budget | None] = ContextVar("budget_proxy_budget", default=None)


def current() -> Budget | None:
    """The innermost ``with budget(...)`` of this thread or task."""
    return _current.get()


@contextmanager
def budget(
    *,
    cap: int | None = None,
    mode: Mode | None = None,
    thinking: str | None = None,
    effort: str | None = None,
    guidance: bool | None = None,
    off: bool = False,
    descriptor: Mapping[str, Any] | None = None,
    agent: str | None = None,
    session: str | None = None,
    run: str | None = None,
    task: str | Mapping[str, Any] | None = None,
    user: str | None = None,
    tags: Iterable[str] = (),
) -> Iterator[Budget]:
    """Set the budget of the calls made inside, in threads and tasks alike.

    ``cap`` is in output tokens and never raised or undone by us. Values given here add to
    those of an enclosing ``budget``. Raises InvalidInput on a wrong value.
    """
    given = {
        "cap": cap, "mode": mode, "thinking": thinking, "effort": effort, "guidance": guidance,
        "off": off or None, "descriptor": descriptor, "agent": agent, "session": session,
        "run": run, "task": task, "user": user, "tags": tags or None,
    }  # fmt: skip
    scope, override = parse({name: value for name, value in given.items() if value is not None})
    outer = _current.get()
    handle = Budget(scope, override)
    if outer is not None:
        handle.scope = merge(scope, outer.scope)
        handle.override = merge(override, outer.override)
    token = _current.set(handle)
    try:
        yield handle
    finally:
        _current.reset(token)


def merge(first: _T, second: _T) -> _T:
    """``first``, with what it leaves open taken from ``second``."""
    empty = _EMPTY[type(first)]
    if second == empty:  # most calls say nothing in most places
        return first
    if first == empty:
        return second
    gaps = {
        item.name: getattr(second, item.name)
        for item in fields(first)
        if getattr(first, item.name) == getattr(empty, item.name)
    }
    if _stands(first, second):
        gaps["cap_stands"] = True
    return replace(first, **gaps)


def _stands(first: Scope | Override, second: Scope | Override) -> bool:
    """Whether a cap given further in holds although what is around it says to observe.

    Only "observe" in the same breath takes a cap back.
    """
    if not isinstance(first, Override) or not isinstance(second, Override):
        return False
    given = first.cap is not None and first.mode is None and not first.off
    return given and (second.mode == "observe" or second.off)


def parse(value: Any) -> tuple[Scope, Override]:
    """A ``budget`` value of a body: a cap in tokens, or a mapping of names to values."""
    if isinstance(value, bool) or not isinstance(value, int | Mapping):
        raise InvalidInput(
            "budget must be a number of tokens or an object such as "
            f'{{"cap": 2000, "agent": "reviewer"}}, not {type(value).__name__}'
        )
    if isinstance(value, int):
        value = {"cap": value}
    scope: dict[str, Any] = {}
    override: dict[str, Any] = {}
    for name, item in value.items():
        if item is None:
            continue
        if name == "task" and isinstance(item, Mapping):
            override["descriptor"] = item
        elif name in _SCOPE_NAMES:
            scope[name] = _text(name, item)
        elif name == "tags":
            scope["tags"] = _tags(item)
        elif name == "extend":
            override["extend"] = _extension(item)
        else:
            override[name] = _override(name, item)
    return Scope(**scope), Override(**override)


def parse_headers(headers: Iterable[tuple[str, str]]) -> tuple[Scope, Override]:
    """The (Scope, Override) that ``x-budget-*`` headers ask for; other headers are ignored."""
    given: dict[str, Any] = {}
    for name, text in headers:
        lower = name.lower()
        if not lower.startswith(HEADER_PREFIX):
            continue
        key = lower.removeprefix(HEADER_PREFIX)
        if key == "cap":
            given[key] = _header_cap(text)
        elif key == "extend":
            given[key] = _header_extension(text)
        elif key in {"off", "guidance"}:
            given[key] = _header_flag(key, text)
        elif key == "tags":
            given[key] = [tag.strip() for tag in text.split(",") if tag.strip()]
        else:
            given[key] = text.strip()
    return parse(given)


def strip_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that are not ours."""
    return [item for item in headers if not item[0].lower().startswith(HEADER_PREFIX)]


def _override(name: str, item: Any) -> Any:
    if name == "cap":
        if isinstance(item, bool) or not isinstance(item, int) or not 1 <= item <= MOST_TOKENS:
            raise InvalidInput(
                f"budget cap must be a whole number of tokens >= 1 and <= {MOST_TOKENS}, "
                f"not {str(item)[:40]!r}"
            )
        return item
    if name == "mode":
        return _one_of("mode", item, MODES)
    if name == "thinking":
        return _one_of("thinking", item, ("auto",))
    if name == "effort":
        return _one_of("effort", item, EFFORTS)
    if name in {"guidance", "off"}:
        if not isinstance(item, bool):
            raise InvalidInput(f"budget {name} must be true or false, not {item!r}")
        return item
    if name == "descriptor":
        if not isinstance(item, Mapping):
            raise InvalidInput(f"budget descriptor must be an object, not {type(item).__name__}")
        return item
    known = (
        "cap, mode, thinking, effort, guidance, off, extend, task, agent, session, run, user, tags"
    )
    raise InvalidInput(f"budget has no field {str(name)[:40]!r}; it knows {known}")


def _extension(item: Any) -> Extend:
    given = dict(item) if isinstance(item, Mapping) else {}
    tokens, usd, reason = given.pop("tokens", 0), given.pop("usd", 0), given.pop("reason", "")
    whole = isinstance(tokens, int) and not isinstance(tokens, bool)
    money = isinstance(usd, int | float) and not isinstance(usd, bool)
    if given or not (item and whole and money and isinstance(reason, str)):
        raise InvalidInput(
            'budget extend must be an object such as {"tokens": 20000, "reason": "tests fail"}; '
            "usd may stand in place of tokens, or beside"
        )
    if not (0 <= tokens <= MOST_TOKENS and 0 <= usd <= MOST_TOKENS):
        raise InvalidInput(f"an extension lies between 0 and {MOST_TOKENS}")
    return Extend(tokens, float(usd), reason.strip())


def _header_extension(text: str) -> dict[str, Any]:
    """What ``20000; usd=0.50; reason=tests fail`` asks for; a reason may have semicolons."""
    numbers, _, reason = text.partition("reason=")
    given: dict[str, Any] = {"reason": reason.strip()}
    for part in filter(None, (part.strip() for part in numbers.split(";"))):
        name, _, amount = part.rpartition("=")
        try:
            if name in {"", "tokens"}:
                given["tokens"] = int(amount)
                continue
            if name == "usd":
                given["usd"] = float(amount)
                continue
        except ValueError:
            pass
        raise InvalidInput(
            "header x-budget-extend is written as 20000; reason=tests fail (or usd=0.50), "
            f"not {text[:40]!r}"
        )
    return given


def _one_of(name: str, item: Any, allowed: tuple[str, ...]) -> str:
    if item not in allowed:
        raise InvalidInput(f"budget {name} must be one of {', '.join(allowed)}, not {item!r}")
    return str(item)


def _text(name: str, item: Any) -> str:
    if not isinstance(item, str) or not item or len(item) > 200:  # noqa: PLR2004 (in the message)
        raise InvalidInput(f"budget {name} must be a text of 1 to 200 characters")
    if not _is_whole(item):
        raise InvalidInput(f"budget {name} has half of a surrogate pair, which is no character")
    return item


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _tags(item: Any) -> tuple[str, ...]:
    if isinstance(item, str) or not isinstance(item, Iterable):
        raise InvalidInput("budget tags must be a list of texts")
    tags = tuple(_text("tags", tag) for tag in islice(item, MOST_TAGS + 1))
    if len(tags) > MOST_TAGS:
        raise InvalidInput(f"budget tags are {MOST_TAGS} at most")
    return tags


def _header_cap(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MOST_TOKENS)):
        raise InvalidInput(
            f"header x-budget-cap must be a whole number of tokens, not {text[:40]!r}"
        )
    return int(text)


def _header_flag(name: str, text: str) -> bool:
    value = text.strip().lower()
    if value not in {"1", "true", "on", "yes", "0", "false", "off", "no"}:
        raise InvalidInput(f"header x-budget-{name} must be true or false, not {text!r}")
    return value in {"1", "true", "on", "yes"}
