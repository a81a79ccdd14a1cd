from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Unpack

import httpx2
import openai as _sdk
from openai import (
    DEFAULT_CONNECTION_LIMITS as DEFAULT_CONNECTION_LIMITS,
    DEFAULT_MAX_RETRIES as DEFAULT_MAX_RETRIES,
    DEFAULT_TIMEOUT as DEFAULT_TIMEOUT,
    NOT_GIVEN as NOT_GIVEN,
    APIConnectionError as APIConnectionError,
    APIError as APIError,
    APIResponse as APIResponse,
    APIResponseValidationError as APIResponseValidationError,
    APIStatusError as APIStatusError,
    APITimeoutError as APITimeoutError,
    AsyncAPIResponse as AsyncAPIResponse,
    AsyncComputerDriver as AsyncComputerDriver,
    AsyncComputerToolset as AsyncComputerToolset,
    AsyncStream as AsyncStream,
    AuthenticationError as AuthenticationError,
    BadRequestError as BadRequestError,
    BaseModel as BaseModel,
    ComputerDriver as ComputerDriver,
    ComputerToolset as ComputerToolset,
    ConflictError as ConflictError,
    ContentFilterFinishReasonError as ContentFilterFinishReasonError,
    DataResidency as DataResidency,
    DefaultAioHttpClient as DefaultAioHttpClient,
    DefaultAsyncHttpx2Client as DefaultAsyncHttpx2Client,
    DefaultAsyncHttpxClient as DefaultAsyncHttpxClient,
    DefaultHttpx2Client as DefaultHttpx2Client,
    DefaultHttpxClient as DefaultHttpxClient,
    InternalServerError as InternalServerError,
    InvalidWebhookSignatureError as InvalidWebhookSignatureError,
    LengthFinishReasonError as LengthFinishReasonError,
    NoneType as NoneType,
    NotFoundError as NotFoundError,
    NotGiven as NotGiven,
    OAuthError as OAuthError,
    Omit as Omit,
    OpenAIError as OpenAIError,
    PermissionDeniedError as PermissionDeniedError,
    ProxiesTypes as ProxiesTypes,
    RateLimitError as RateLimitError,
    ReconnectingEvent as ReconnectingEvent,
    ReconnectingOverrides as ReconnectingOverrides,
    RequestOptions as RequestOptions,
    Stream as Stream,
    Timeout as Timeout,
    Transport as Transport,
    UnprocessableEntityError as UnprocessableEntityError,
    WebSocketConnectionClosedError as WebSocketConnectionClosedError,
    WebSocketQueueFullError as WebSocketQueueFullError,
    __title__ as __title__,
    __version__ as __version__,
    file_from_path as file_from_path,
    not_given as not_given,
    omit as omit,
    pydantic_function_tool as pydantic_function_tool,
    types as types,
)
from openai._provider import _Provider
from openai.auth import WorkloadIdentity, X509WorkloadIdentity
from openai.lib.azure import AsyncAzureADTokenProvider, AzureADTokenProvider

from budget_proxy.transport.binding import Ours

class _Options(Ours, total=False):
    admin_api_key: str | None
    workload_identity: WorkloadIdentity | X509WorkloadIdentity | None
    organization: str | None
    project: str | None
    webhook_secret: str | None
    websocket_base_url: str | httpx2.URL | None
    timeout: float | Timeout | NotGiven | None
    max_retries: int
    default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    _strict_response_validation: bool
    _enforce_credentials: bool

class _OpenAIOptions(_Options, total=False):
    provider: _Provider | None
    base_url: str | httpx2.URL | NotGiven | None
    data_residency: DataResidency | None

class _AzureOptions(_Options, total=False):
    api_version: str | None
    azure_endpoint: str | None
    azure_deployment: str | None
    azure_ad_token: str | None
    base_url: str | None

class OpenAI(_sdk.OpenAI):
    def __init__(
        self,
        *,
        api_key: str | Callable[[], str] | None = None,
        http_client: httpx2.Client | None = None,
        **options: Unpack[_OpenAIOptions],
    ) -> None: ...

class AsyncOpenAI(_sdk.AsyncOpenAI):
    def __init__(
        self,
        *,
        api_key: str | Callable[[], Awaitable[str]] | None = None,
        http_client: httpx2.AsyncClient | None = None,
        **options: Unpack[_OpenAIOptions],
    ) -> None: ...

class AzureOpenAI(_sdk.AzureOpenAI):
    def __init__(
        self,
        *,
        api_key: str | Callable[[], str] | None = None,
        azure_ad_token_provider: AzureADTokenProvider | None = None,
        http_client: httpx2.Client | None = None,
        **options: Unpack[_AzureOptions],
    ) -> None: ...

class AsyncAzureOpenAI(_sdk.AsyncAzureOpenAI):
    def __init__(
        self,
        *,
        api_key: str | Callable[[], Awaitable[str]] | None = None,
        azure_ad_token_provider: AsyncAzureADTokenProvider | None = None,
        http_client: httpx2.AsyncClient | None = None,
        **options: Unpack[_AzureOptions],
    ) -> None: ...

Client = OpenAI
AsyncClient = AsyncOpenAI

def __getattr__(name: str) -> Any: ...
