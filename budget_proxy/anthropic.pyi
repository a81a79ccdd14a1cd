from typing import Any

import anthropic as _sdk
from anthropic import (
    NOT_GIVEN as NOT_GIVEN,
)
from anthropic import (
    AnthropicError as AnthropicError,
)
from anthropic import (
    APIConnectionError as APIConnectionError,
)
from anthropic import (
    APIError as APIError,
)
from anthropic import (
    APIResponseValidationError as APIResponseValidationError,
)
from anthropic import (
    APIStatusError as APIStatusError,
)
from anthropic import (
    APITimeoutError as APITimeoutError,
)
from anthropic import (
    AsyncStream as AsyncStream,
)
from anthropic import (
    AuthenticationError as AuthenticationError,
)
from anthropic import (
    BadRequestError as BadRequestError,
)
from anthropic import (
    BaseModel as BaseModel,
)
from anthropic import (
    ConflictError as ConflictError,
)
from anthropic import (
    DefaultAsyncHttpxClient as DefaultAsyncHttpxClient,
)
from anthropic import (
    DefaultHttpxClient as DefaultHttpxClient,
)
from anthropic import (
    InternalServerError as InternalServerError,
)
from anthropic import (
    NotFoundError as NotFoundError,
)
from anthropic import (
    NotGiven as NotGiven,
)
from anthropic import (
    Omit as Omit,
)
from anthropic import (
    PermissionDeniedError as PermissionDeniedError,
)
from anthropic import (
    RateLimitError as RateLimitError,
)
from anthropic import (
    Stream as Stream,
)
from anthropic import (
    Timeout as Timeout,
)
from anthropic import (
    UnprocessableEntityError as UnprocessableEntityError,
)
from anthropic import (
    beta_async_tool as beta_async_tool,
)
from anthropic import (
    beta_tool as beta_tool,
)
from anthropic import (
    omit as omit,
)
from anthropic import (
    types as types,
)

from budget_proxy.transport.swap import Constructor

class Anthropic(Constructor, _sdk.Anthropic): ...
class AsyncAnthropic(Constructor, _sdk.AsyncAnthropic): ...

Client = Anthropic
AsyncClient = AsyncAnthropic

def __getattr__(name: str) -> Any: ...
