from __future__ import annotations

import pytest

from budget_proxy.wire import DIALECTS, Context
from budget_proxy.wire.models import capabilities
from budget_proxy.wire.single import default_model, single_message


@pytest.mark.parametrize("api", DIALECTS)
def test_the_dialect_reads_back_what_the_body_says(api: str) -> None:
    """One user message, the model, the cap and the stream flag, in each API's own spelling."""
    body = single_message(api, "How long?", model="m", stream=True, cap=300)
    call = DIALECTS[api].read(body, Context("c1", 0.0))
    assert [(message.role, message.text) for message in call.messages] == [("user", "How long?")]
    assert (call.model, call.ceiling, call.stream, call.starts) == ("m", 300, True, True)


@pytest.mark.parametrize("api", DIALECTS)
def test_without_a_cap_none_is_in_force(api: str) -> None:
    """Plain and uncapped by default."""
    call = DIALECTS[api].read(single_message(api, "x", model="m"), Context("c1", 0.0))
    assert (call.ceiling, call.stream) == (None, False)


@pytest.mark.parametrize("api", DIALECTS)
def test_the_default_model_is_one_we_know(api: str) -> None:
    """So that an explanation shows its steering."""
    assert capabilities(api, "", default_model(api)).known
