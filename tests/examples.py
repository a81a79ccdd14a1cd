"""The examples: which environment runs each, and how one is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

ROOT: Final = Path(__file__).parent.parent
FOLDER: Final = ROOT / "examples"
MAIN: Final = "main"
"""The environment of ``make test``; the others are those of ``make test-matrix``."""

ENVIRONMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "budget_a_run": MAIN,
        "choose_model_and_budget": MAIN,
        "instructor_extract": "instructor",
        "langchain_anthropic_chat": "langchain",
        "langchain_openai_chat": "langchain",
        "litellm_completion": "litellm",
        "llama_index_openai": "llama-index",
        "openai_agents_sdk": "openai-agents",
        "override_one_call": MAIN,
        "predict_a_task": MAIN,
        "pydantic_ai_agent": "pydantic-ai",
        "read_the_analytics": MAIN,
        "wrap_anthropic": MAIN,
        "wrap_openai": MAIN,
    }
)


def examples_of(environment: str) -> list[str]:
    """The names of the examples that run in one environment, sorted."""
    return sorted(name for name, where in ENVIRONMENTS.items() if where == environment)


def run(script: Path, base_url: str, *, home: Path, strict: bool = False) -> str:
    """What a script prints, in a fresh interpreter, before the provider at ``base_url``.

    Its history lies in ``home``. With ``strict`` a warning is an error, too.
    """
    done = subprocess.run(
        [sys.executable, *(["-W", "error"] if strict else []), str(script)],
        env={
            **os.environ,
            "OPENAI_BASE_URL": f"{base_url}/v1",
            "OPENAI_API_KEY": "local",
            "ANTHROPIC_BASE_URL": base_url,
            "ANTHROPIC_API_KEY": "local",
            "OPENAI_AGENTS_DISABLE_TRACING": "1",  # traces would leave the machine
            "XDG_DATA_HOME": str(home),
        },
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
