"""Who may open a WebSocket here: checked on the HTTP request, before there is a WebSocket.

    gate = Gate(hosts=("127.0.0.1",), origins=(), check_token=one_token("s3cret"))
    await gate.check(headers, "127.0.0.1", now)    # "token", or (401, "Send a valid token ...")

A page in a browser can call any address of this machine, and a name can be bound to it after the
page was loaded; so the Host must be one of ours and an Origin one that was allowed. The one rule
to remember: a token is compared in constant time, and a refusal never repeats it.
"""

import hmac
import inspect
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus

from sessionbot_kit.errors import AccessError, TokenTooNarrow
from sessionbot_kit.links.websocket.rules import Bucket

# Who shows this token, or None; an AccessError says why not. It may ask the store.
CheckToken = Callable[[str], str | Awaitable[str | None] | None]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_FAILURES = (
    10  # in a burst from one address; then it hears 429, at most one a second is told why
)
MAX_ADDRESSES = 1_000


def one_token(expected: str) -> CheckToken:
    """Let in whoever shows this token, under the name "token"."""
    wanted = expected.encode()

    def check(token: str) -> str | None:
        return "token" if hmac.compare_digest(token.encode(), wanted) else None

    return check


def is_loopback(host: str) -> bool:
    return host in LOOPBACK or host.startswith("127.")


def host_of(header: str) -> str:
    """The name in a Host header, without the port."""
    name, bracket, _ = header.strip().rpartition("]")
    if bracket:
        return name.removeprefix("[").lower()
    name, colon, port = header.strip().rpartition(":")
    return (name if colon and port.isdecimal() else header.strip()).lower()


class Gate:
    """The checks, and the addresses that failed them."""

    def __init__(
        self,
        *,
        hosts: Collection[str],
        origins: Collection[str] = (),
        check_token: CheckToken | None = None,
    ) -> None:
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(origins)
        self.open = check_token is None
        self._check_token = check_token
        self._failures: OrderedDict[str, Bucket] = OrderedDict()

    async def check(
        self, headers: Mapping[str, str], address: str, now: float, *, original: bool = False
    ) -> str | tuple[HTTPStatus, str]:
        """Whose connection this is; or the status and the sentence to refuse it with.

        An `original` peer has no token to show.
        """
        if host_of(headers.get("Host", "")) not in self.hosts:
            return HTTPStatus.FORBIDDEN, "This host is not served here; allow it in the settings.\n"
        origin = headers.get("Origin")
        if origin is not None and origin not in self.origins:
            return HTTPStatus.FORBIDDEN, "This origin is not allowed; add it to the settings.\n"
        if self._check_token is None:
            return "anybody"
        if original:
            return "original"
        found = await self._whose(headers)
        if isinstance(found, str) or found[0] is HTTPStatus.FORBIDDEN:
            return found
        if self._failed_often(address, now):
            return HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts; wait a minute.\n"
        return found

    async def _whose(self, headers: Mapping[str, str]) -> str | tuple[HTTPStatus, str]:
        """Whose token is shown; or why that one opens nothing here."""
        assert self._check_token is not None
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            try:
                found = self._check_token(token.strip())
                identity = await found if inspect.isawaitable(found) else found
            except TokenTooNarrow as error:
                return HTTPStatus.FORBIDDEN, f"{error}.\n"
            except AccessError as error:
                return HTTPStatus.UNAUTHORIZED, f"{error}.\n"
            if identity is not None:
                return identity
        return HTTPStatus.UNAUTHORIZED, "Send a valid token: Authorization: Bearer TOKEN.\n"

    def _failed_often(self, address: str, now: float) -> bool:
        bucket = self._failures.pop(address, None) or Bucket(
            MAX_FAILURES, MAX_FAILURES / 60, at=now
        )
        self._failures[address] = bucket
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)
        return bucket.overflows(now)
