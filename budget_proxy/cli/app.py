"""The application: every command under one roof, and errors as one line on stderr.

A command's module brings itself along through ``register(app)``. It is imported only where
its name was typed, or all are listed, and keeps heavy imports inside the command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from budget_proxy.errors import BudgetProxyError, ConfigError, InvalidInput

MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "demo": "demo",
        "serve": "serve",
        "explain": "explain",
        "predict": "predict",
        "report": "report",
        "trends": "trends",
        "alerts": "alerts",
        "project": "project",
        "suggest": "suggest",
        "runs": "runs",
        "backtest": "backtest",
        "import": "import_",
        "limits": "limits",
        "billing": "billing",
        "history": "history",
        "keys": "keys",
        "doctor": "doctor",
    }
)
"""The commands in the order of the help, each with its module in this package."""

_MISUSE: Final[Any] = typer.BadParameter.__base__
"""The library's error where options are wrong, which it gives no name of its own."""

EXIT_USER: Final = 2
EXIT_FAILED: Final = 1


class Commands(TyperGroup):
    """The commands by name; their errors end in one line on stderr and an exit code.

    2: wrong input or settings; 1: anything else that we raise on purpose, such as a history
    that cannot be read.
    """

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (the library's signature)
        """Name every command."""
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 (likewise)
        """Load one command; ``None`` if there is none of that name."""
        if cmd_name not in MODULES:
            return None
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        import_module(f"budget_proxy.cli.{MODULES[cmd_name]}").register(alone)
        found = get_command(alone)
        return found.commands[cmd_name] if isinstance(found, TyperGroup) else found

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Read the options that stand before the command."""
        with _in_one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Tell of an error in one line on stderr, and exit."""
    try:
        yield
    except BudgetProxyError as error:
        code = EXIT_USER if isinstance(error, ConfigError | InvalidInput) else EXIT_FAILED
        _exit(str(error), code)
    except _MISUSE as error:
        said = error.format_message()
        if "\n" in said.strip():  # the help, where nothing was asked for
            raise
        path = "budget-proxy" if error.ctx is None else error.ctx.command_path
        _exit(f"{said[:1].lower()}{said[1:].rstrip('.')}; see `{path} --help`", EXIT_USER)


def _exit(message: str, code: int) -> NoReturn:
    typer.echo(f"budget-proxy: {' '.join(message.split())}", err=True)
    raise typer.Exit(code) from None


app: Final = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # its tracebacks would show prompts
    rich_markup_mode=None,
)


@app.callback()
def root() -> None:
    """Per-call LLM token budgets predicted from your own history."""
