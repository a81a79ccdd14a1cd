from typing import Any

import openai as _sdk
from openai import (
    NOT_GIVEN as NOT_GIVEN,
)
from openai import (
    APIConnectionError as APIConnectionError,
)
from openai import (
    APIError as APIError,
)
from openai import (
    APIResponse as APIResponse,
)
from openai import (
    APIResponseValidationError as APIResponseValidationError,
)
from openai import (
    APIStatusError as APIStatusError,
)
from openai import (
    APITimeoutError as APITimeoutError,
)
from openai import (
    AsyncAPIResponse as AsyncAPIResponse,
)
from openai import (
    AsyncStream as AsyncStream,
)
from openai import (
    AuthenticationError as AuthenticationError,
)
from openai import (
    BadRequestError as BadRequestError,
)
from openai import (
    BaseModel as BaseModel,
)
from openai import (
    ConflictError as ConflictError,
)
from openai import (
    ContentFilterFinishReasonError as ContentFilterFinishReasonError,
)
from openai import (
    DefaultAsyncHttpxClient as DefaultAsyncHttpxClient,
)
from openai import (
    DefaultHttpxClient as DefaultHttpxClient,
)
from openai import (
    InternalServerError as InternalServerError,
)
from openai import (
    LengthFinishReasonError as LengthFinishReasonError,
)
from openai import (
    NotFoundError as NotFoundError,
)
from openai import (
    NotGiven as NotGiven,
)
from openai import (
    Omit as Omit,
)
from openai import (
    OpenAIError as OpenAIError,
)
from openai import (
    PermissionDeniedError as PermissionDeniedError,
)
from openai import (
    RateLimitError as RateLimitError,
)
from openai import (
    Stream as Stream,
)
from openai import (
    Timeout as Timeout,
)
from openai import (
    UnprocessableEntityError as UnprocessableEntityError,
)
from openai import (
    omit as omit,
)
from openai import (
    pydantic_function_tool as pydantic_function_tool,
)
from openai import (
    types as types,
)

from budget_proxy.transport.swap import Constructor

class OpenAI(Constructor, _sdk.OpenAI): ...
class AsyncOpenAI(Constructor, _sdk.AsyncOpenAI): ...
class AzureOpenAI(Constructor, _sdk.AzureOpenAI): ...
class AsyncAzureOpenAI(Constructor, _sdk.AsyncAzureOpenAI): ...

Client = OpenAI
AsyncClient = AsyncOpenAI

def __getattr__(name: str) -> Any: ...
