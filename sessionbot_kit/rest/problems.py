"""What a program is told when something is wrong: problem details, as RFC 9457 has them.

    raise Problem(404, "not_found", "there is no session 7; list them: GET /api/sessions")

    HTTP/1.1 404 Not Found
    content-type: application/problem+json
    {"type":"about:blank","title":"Not Found","status":404,"code":"not_found",
     "detail":"there is no session 7; ...","error":"there is no session 7; ..."}

`code` is for programs and never changes; `detail` is for people. `error` repeats the detail for
those who know it from MyBot. The one rule to remember: what is ours to repair is a 500 without
any detail; the log has it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from sessionbot_kit.errors import (
    AccessError,
    ChannelError,
    KitError,
    RateLimited,
    SessionEnded,
    SessionUnknown,
    StoreBusy,
    StoreConflict,
    StoreError,
    StoreFull,
    TokenEnded,
    TokenForeign,
    TokenTooNarrow,
    UsageError,
    VariableQuotaExceeded,
)

CONTENT_TYPE: Final = b"application/problem+json"

# The first that fits, most special first.
_KINDS: Final[tuple[tuple[type[KitError], int, str], ...]] = (
    (RateLimited, 429, "rate_limited"),
    (TokenForeign, 403, "token_foreign"),
    (TokenEnded, 410, "session_ended"),
    (TokenTooNarrow, 403, "token_too_narrow"),
    (AccessError, 401, ""),  # its own code
    (SessionUnknown, 404, "session_unknown"),
    (SessionEnded, 409, "session_ended"),
    (VariableQuotaExceeded, 413, "variables_too_large"),
    (UsageError, 400, "invalid"),
    (StoreConflict, 409, "conflict"),
    (StoreBusy, 503, "busy"),
    (StoreFull, 507, "disk_full"),
    (StoreError, 503, "store_unavailable"),
    (ChannelError, 503, "not_ready"),
)


class Problem(Exception):
    """An answer that is not what was hoped for."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str = "",
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        **more: Any,
    ) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.more = more

    def body(self) -> bytes:
        title = HTTPStatus(self.status).phrase
        document: Mapping[str, Any] = {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail or title,
            "error": "Unauthorized" if self.status == 401 else self.detail or title,
            **self.more,
        }
        return orjson.dumps(document)


def problem_of(error: KitError) -> Problem:
    """How an error of the house looks from outside."""
    for kind, status, code in _KINDS:
        if isinstance(error, kind):
            code = code or getattr(error, "code", "refused")
            detail = str(error) if status < 500 else ""
            return Problem(status, code, detail, headers=_headers(error, status))
    return Problem(500, "internal")


def _headers(error: KitError, status: int) -> tuple[tuple[bytes, bytes], ...]:
    if isinstance(error, RateLimited):
        return ((b"retry-after", str(max(1, -int(-error.retry_after // 1))).encode()),)
    if status == 401:
        return ((b"www-authenticate", b'Bearer realm="sessionbot"'),)
    if status == 503:
        return ((b"retry-after", b"1"),)
    return ()
