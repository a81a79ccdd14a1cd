"""What a command answers, printed or in a file: a table, JSON, Markdown or one HTML file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from budget_proxy.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from budget_proxy.analytics.rendering.blocks import Document

_FORMATS: Final = ("table", "json", "markdown", "html")
_SUFFIXES: Final = {".json": "json", ".md": "markdown", ".html": "html", ".htm": "html"}


def format_of(form: str | None, out: Path | None, *, as_json: bool) -> str:
    """The format that was asked for, or that a file's name tells. Raises InvalidInput."""
    if form is not None and form not in _FORMATS:
        raise InvalidInput(f"--format must be one of {', '.join(_FORMATS)}, not {form!r}")
    if as_json and form not in {None, "json"}:
        raise InvalidInput(f"--json and --format {form} ask for two things: leave one out")
    if form is None and as_json:
        form = "json"
    if out is not None:
        form = form or _SUFFIXES.get(out.suffix.lower())
        if form in {None, "table"}:
            raise InvalidInput(f"name a file that ends in .html, .md or .json, not {out.name!r}")
    return form or "table"


def check_printed(option: str, form: str, out: Path | None) -> None:
    """Raise InvalidInput where what such an option tells is to be more than printed."""
    if out is not None:
        raise InvalidInput(f"{option} goes without --out: it prints what it did")
    if form not in {"table", "json"}:
        raise InvalidInput(f"{option} goes with --format table or json, not {form}")


def answer(
    form: str, out: Path | None, value: Callable[[], Any], document: Callable[[], Document]
) -> None:
    """Print in a format, or write it to a file: ``value`` is for JSON, ``document`` for people.

    Raises ConfigError where the file cannot be written.
    """
    if form == "table":
        from budget_proxy.cli.output import console
        from budget_proxy.cli.screen import show

        show(console(), document())
        return
    text = _text(form, value, document)
    if out is None:
        typer.echo(text.encode(), nl=False)  # UTF-8, whatever the stream's encoding is
    else:
        _write(out, text)


def _text(form: str, value: Callable[[], Any], document: Callable[[], Document]) -> str:
    if form == "json":
        from budget_proxy.cli.output import json_text

        return json_text(value())
    from budget_proxy.analytics.rendering.markdown import markdown
    from budget_proxy.analytics.rendering.page import page

    write, told = markdown if form == "markdown" else page, document()
    return write(told.title, told.subtitle, told.blocks)


def _write(out: Path, text: str) -> None:
    from budget_proxy.analytics.rendering.file import replace

    try:
        replace(out, text)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}") from None
