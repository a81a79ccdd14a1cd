from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import anthropic as _sdk
import httpx2
from anthropic import (
    DEFAULT_CONNECTION_LIMITS as DEFAULT_CONNECTION_LIMITS,
    DEFAULT_MAX_RETRIES as DEFAULT_MAX_RETRIES,
    DEFAULT_TIMEOUT as DEFAULT_TIMEOUT,
    NOT_GIVEN as NOT_GIVEN,
    AnthropicError as AnthropicError,
    APIConnectionError as APIConnectionError,
    APIError as APIError,
    APIRequest as APIRequest,
    APIResponseValidationError as APIResponseValidationError,
    APIStatusError as APIStatusError,
    APITimeoutError as APITimeoutError,
    APIWebhookValidationError as APIWebhookValidationError,
    AsyncCallNext as AsyncCallNext,
    AsyncMiddlewareCallable as AsyncMiddlewareCallable,
    AsyncStream as AsyncStream,
    AuthenticationError as AuthenticationError,
    BadRequestError as BadRequestError,
    BaseModel as BaseModel,
    BetaFallbackState as BetaFallbackState,
    BetaRefusalFallbackMiddleware as BetaRefusalFallbackMiddleware,
    CallNext as CallNext,
    ClaudeCodeKeyCreatorNotMemberError as ClaudeCodeKeyCreatorNotMemberError,
    ClaudeCodeVersionTooOldError as ClaudeCodeVersionTooOldError,
    ClientClosedRequestError as ClientClosedRequestError,
    CMEKContextUnavailableError as CMEKContextUnavailableError,
    CMEKKeyDisabledError as CMEKKeyDisabledError,
    CMEKKeyNetworkBlockedError as CMEKKeyNetworkBlockedError,
    CMEKKeyUnreachableError as CMEKKeyUnreachableError,
    ConflictError as ConflictError,
    ContentTooLargeError as ContentTooLargeError,
    ContractSpendLimitReachedError as ContractSpendLimitReachedError,
    CredentialsError as CredentialsError,
    DeadlineExceededError as DeadlineExceededError,
    DefaultAioHttpClient as DefaultAioHttpClient,
    DefaultAsyncHttpxClient as DefaultAsyncHttpxClient,
    DefaultHttpxClient as DefaultHttpxClient,
    EnforcedSpendLimitReachedError as EnforcedSpendLimitReachedError,
    GatewayTimeoutError as GatewayTimeoutError,
    HTTPNotImplementedError as HTTPNotImplementedError,
    IdentityTokenFileError as IdentityTokenFileError,
    InternalServerError as InternalServerError,
    LinkedOrganizationBillingUnavailableError as LinkedOrganizationBillingUnavailableError,
    LinkedOrganizationSpendLimitReachedError as LinkedOrganizationSpendLimitReachedError,
    Middleware as Middleware,
    MiddlewareCallable as MiddlewareCallable,
    MiddlewareInput as MiddlewareInput,
    NoneType as NoneType,
    NotFoundError as NotFoundError,
    NotGiven as NotGiven,
    Omit as Omit,
    OpenTelemetryClientOption as OpenTelemetryClientOption,
    OpenTelemetryOptions as OpenTelemetryOptions,
    OpenTelemetryTraces as OpenTelemetryTraces,
    OrganizationOnHoldError as OrganizationOnHoldError,
    OrganizationTypeNotSupportedError as OrganizationTypeNotSupportedError,
    OverloadedError as OverloadedError,
    ParentOrganizationRequiredError as ParentOrganizationRequiredError,
    PaymentRequiredError as PaymentRequiredError,
    PermissionDeniedError as PermissionDeniedError,
    PreconditionFailedError as PreconditionFailedError,
    RampLimitExceededError as RampLimitExceededError,
    RateLimitError as RateLimitError,
    RequestBodyEncodingInvalidError as RequestBodyEncodingInvalidError,
    RequestBodyEncodingUnsupportedError as RequestBodyEncodingUnsupportedError,
    RequestBodyTooLargeAfterDecodingError as RequestBodyTooLargeAfterDecodingError,
    RequestHeaderFieldsTooLargeError as RequestHeaderFieldsTooLargeError,
    RequestOptions as RequestOptions,
    RequestTimeoutError as RequestTimeoutError,
    RequestTooLargeError as RequestTooLargeError,
    ResolvedOpenTelemetryOptions as ResolvedOpenTelemetryOptions,
    ResolvedOpenTelemetryTraces as ResolvedOpenTelemetryTraces,
    RetryableError as RetryableError,
    SandboxEgressRestrictedError as SandboxEgressRestrictedError,
    ServiceUnavailableError as ServiceUnavailableError,
    Stream as Stream,
    Timeout as Timeout,
    UnprocessableEntityError as UnprocessableEntityError,
    WorkspaceHumanReviewDisabledError as WorkspaceHumanReviewDisabledError,
    __title__ as __title__,
    __version__ as __version__,
    beta_async_tool as beta_async_tool,
    beta_tool as beta_tool,
    file_from_path as file_from_path,
    not_given as not_given,
    omit as omit,
    transform_schema as transform_schema,
    types as types,
)
from anthropic.lib.credentials import AccessTokenProvider, TokenCache
from anthropic.lib.credentials._types import AsyncAccessTokenProvider

from budget_proxy.transport.binding import Ours

class _Options(Ours, total=False):
    api_key: str | None
    auth_token: str | None
    config: Mapping[str, Any] | None
    profile: str | None
    webhook_key: str | None
    base_url: str | httpx2.URL | None
    timeout: float | Timeout | NotGiven | None
    max_retries: int
    default_headers: Mapping[str, str] | None
    default_query: Mapping[str, object] | None
    open_telemetry: OpenTelemetryClientOption
    middleware: Sequence[MiddlewareInput] | None
    _strict_response_validation: bool
    _token_cache: TokenCache | NotGiven | None

class Anthropic(_sdk.Anthropic):
    def __init__(
        self,
        *,
        credentials: AccessTokenProvider | None = None,
        http_client: httpx2.Client | None = None,
        **options: Unpack[_Options],
    ) -> None: ...

class AsyncAnthropic(_sdk.AsyncAnthropic):
    def __init__(
        self,
        *,
        credentials: AccessTokenProvider | AsyncAccessTokenProvider | None = None,
        http_client: httpx2.AsyncClient | None = None,
        **options: Unpack[_Options],
    ) -> None: ...

Client = Anthropic
AsyncClient = AsyncAnthropic

def __getattr__(name: str) -> Any: ...
