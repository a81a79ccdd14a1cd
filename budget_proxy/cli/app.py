"""The application: every command under one roof, and errors as one line on stderr.

A command's module brings itself along through ``register(app)``; it is imported only where
its name was typed or the help lists it, and keeps heavy imports inside the command.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import typer
from typer.core import TyperGroup

from budget_proxy.errors import BudgetProxyError, ConfigError, InvalidInput

MODULES: Final = (
    "demo", "serve", "explain", "predict", "report", "backtest", "import_", "doctor",
)  # fmt: skip
"""The commands' modules, in the order of the help."""

EXIT_USER: Final = 2
EXIT_FAILED: Final = 1


class Commands(TyperGroup):
    """A group of commands whose errors end in one line on stderr and an exit code.

    2: wrong input or settings; 1: anything else that we raise on purpose, such as a history
    that cannot be read.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BudgetProxyError as error:
            message = " ".join(str(error).split())
            typer.echo(f"budget-proxy: {message}", err=True)
            code = EXIT_USER if isinstance(error, ConfigError | InvalidInput) else EXIT_FAILED
            raise typer.Exit(code) from None


def build() -> typer.Typer:
    """The application with every command."""
    made = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # its tracebacks would show prompts
        rich_markup_mode=None,
        help="Per-call LLM token budgets predicted from your own history.",
    )
    made.callback()(_root)
    for name in MODULES:
        module = f"budget_proxy.cli.{name}"
        if find_spec(module) is not None:
            import_module(module).register(made)
    return made


def _root() -> None:
    """Per-call LLM token budgets predicted from your own history."""


app = build()
