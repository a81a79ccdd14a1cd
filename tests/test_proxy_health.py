"""What may be shown of a store."""

from __future__ import annotations

import pytest

from budget_proxy.proxy.health import shown


@pytest.mark.parametrize(
    ("url", "visible"),
    [
        ("postgresql://me:secret@db.lan:5432/budget?sslmode=require",
         "postgresql://db.lan:5432/budget?sslmode=require"),
        ("sqlite:////var/lib/history.db", "sqlite:////var/lib/history.db"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("memory://", "memory://"),
    ],
)  # fmt: skip
def test_users_and_passwords_stay_hidden(url: str, visible: str) -> None:
    """Everything of a store's URL shows but who logs in with what."""
    assert shown(url) == visible
