"""The command line ``budget-proxy``: one module a command. Heavy libraries load on use."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit with its code."""
    from budget_proxy.cli.app import app

    app(prog_name="budget-proxy")
