"""Every endpoint."""

from __future__ import annotations

from typing import Final

from budget_proxy.proxy.admin import (
    alerts,
    billing,
    calls,
    keys,
    limits,
    predict,
    projection,
    report,
    runs,
    suggestions,
    trends,
)
from budget_proxy.proxy.admin.endpoint import Endpoint

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *report.ENDPOINTS,
    *trends.ENDPOINTS,
    *projection.ENDPOINTS,
    *suggestions.ENDPOINTS,
    *alerts.ENDPOINTS,
    *limits.ENDPOINTS,
    *billing.ENDPOINTS,
    *calls.ENDPOINTS,
    *predict.ENDPOINTS,
    *keys.ENDPOINTS,
    *runs.ENDPOINTS,
)
