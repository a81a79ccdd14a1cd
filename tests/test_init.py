"""The package's public names, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import budget_proxy

HEAVY = (
    "numpy", "pydantic", "pydantic_settings", "genai_prices", "orjson", "httpx", "httpx2",
    "openai", "anthropic", "sqlite3", "starlette", "asyncio", "anyio", "rich", "typer",
)  # fmt: skip


def run(program: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.check_output([sys.executable, "-c", program], text=True).strip()


def test_importing_the_package_imports_nothing_heavy() -> None:
    """Not one of the libraries that take time is loaded by ``import budget_proxy``."""
    program = f"import sys, budget_proxy\nprint([n for n in {HEAVY!r} if n in sys.modules])"
    assert run(program) == "[]"


def test_importing_the_package_is_quick() -> None:
    """Well under the 0.3 s that it may take (best of three, as machines hiccup)."""
    program = (
        "import time; begun = time.perf_counter(); import budget_proxy; "
        "print(time.perf_counter() - begun)"
    )
    assert min(float(run(program)) for _ in range(3)) < 0.1


def test_the_contextmanager_needs_no_engine() -> None:
    """``budget`` and the nouns load nothing heavy either: libraries may set budgets freely."""
    program = (
        "import sys\nfrom budget_proxy import Outcome, Override, Scope, Usage, budget\n"
        "with budget(cap=5) as b: assert b.override.cap == 5\n"
        f"print([n for n in {HEAVY!r} if n in sys.modules])"
    )
    assert run(program) == "[]"


def test_the_public_names_are_sorted_and_there() -> None:
    """``__all__`` is in order, complete in ``dir``, and every name can be had."""
    names = budget_proxy.__all__
    assert names == sorted(names)
    assert {"Engine", "Outcome", "Override", "Scope", "Usage", "budget", "wrap"} <= set(names)
    for name in names:
        assert getattr(budget_proxy, name).__name__ == name
    assert set(names) <= set(dir(budget_proxy))


def test_names_are_the_same_objects_as_at_home() -> None:
    """A name of the package is what its module defines, not a copy."""
    assert budget_proxy.Engine is import_module("budget_proxy.assemble").Engine
    assert budget_proxy.Scope is import_module("budget_proxy.types").Scope
    assert budget_proxy.budget is import_module("budget_proxy.scope").budget


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="module 'budget_proxy' has no attribute 'Wrap'"):
        _ = budget_proxy.Wrap  # type: ignore[attr-defined]


def test_star_import_gives_the_public_names() -> None:
    """``from budget_proxy import *`` is what ``__all__`` says."""
    space: dict[str, object] = {}
    exec("from budget_proxy import *", space)  # noqa: S102 (the statement is what is tested)
    assert set(budget_proxy.__all__) <= set(space)
