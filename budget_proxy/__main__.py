"""``python -m budget_proxy`` is ``budget-proxy``."""

from __future__ import annotations

from budget_proxy.cli import main

if __name__ == "__main__":
    main()
