"""Who may ask for what, and how often.

    guard = Guard(Terms(admin_token="..."))
    guard.check_host(request)                  # somebody's name for us that we do not know: 421
    session = await guard.visitor(request, room)   # by bearer or by cookie, or one of four refusals
    await guard.keeper(request, room, "admin")     # the session API; "watch": what waits

A cookie is sent by a browser whoever asks it to, so whatever changes something by cookie must come
from our own page. The one rule to remember: **a token opens one session**; an id in a request is
compared with it and never opens anything by itself.
"""

import contextlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urlsplit

from sessionbot_kit.access import RateLimiter
from sessionbot_kit.errors import AccessError, TokenForeign, TokenUnknown, UsageError
from sessionbot_kit.rest.exchange import Request
from sessionbot_kit.rest.problems import Problem
from sessionbot_kit.sessions import Conversation, SessionManager
from sessionbot_kit.tokens import Scope, Tokens

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
MAX_TOKEN_CHARS: Final = 512


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds at this door."""

    admin_token: str | None = field(default=None, repr=False)
    dev: bool = False  # nobody needs an admin token; on loopback alone
    hosts: frozenset[str] = LOOPBACK  # names by which we may be called; empty: any
    origins: frozenset[str] = frozenset()  # other sites whose pages may talk to us
    asks_per_minute: int = 600  # of one address, without an admin token
    sessions_per_minute: int = 30  # new ones, of one address
    failures_per_minute: int = 30  # tokens that are not known, of one address


class Door(Protocol):
    """What the guard needs to know of a bot behind the door."""

    @property
    def sessions(self) -> SessionManager: ...

    @property
    def cookie(self) -> str: ...


class Guard:
    """Looks at everybody who comes."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self._asks = RateLimiter(terms.asks_per_minute)
        self._beginnings = RateLimiter(terms.sessions_per_minute)
        self._failures = RateLimiter(terms.failures_per_minute)

    # Where a request comes from

    def check_host(self, request: Request) -> None:
        """Refuse a name that is not ours: a page elsewhere may have been told that it is."""
        if not self.terms.hosts:
            return
        name = _host_name(request.header(b"host"))
        if name not in self.terms.hosts:
            raise Problem(
                421, "unknown_host", f"{name[:80]!r} is no name of ours; add it to web.hosts"
            )

    def check_origin(self, request: Request, *, needed: bool = True) -> None:
        """Refuse what the page of another site makes a browser ask."""
        origin = request.header(b"origin")
        if origin:
            own = urlsplit(origin).netloc.lower() == request.header(b"host").lower()
            if own or origin.lower() in self.terms.origins:
                return
        elif request.header(b"sec-fetch-site") in ("same-origin", "none") or not needed:
            return
        raise Problem(
            403,
            "foreign_origin",
            "this came from the page of another site; use a bearer token, or add it to web.origins",
        )

    def check_pace(self, request: Request) -> None:
        self._asks.take(network_of(request.client))

    async def check_beginning(self, request: Request, door: Door) -> None:
        """Count a new session of an address; a program with a token for chats may begin many."""
        if bearer := bearer_of(request):
            with contextlib.suppress(AccessError):
                await Tokens(door.sessions.store).check(bearer, "chat")
                return
        self._beginnings.take(network_of(request.client))

    # Who it is

    def token(self, request: Request, door: Door) -> str:
        """What was shown: a bearer token, or the cookie of our own page."""
        bearer = bearer_of(request)
        if bearer:
            return bearer
        cookie = request.cookie(door.cookie)
        if cookie and request.method not in SAFE:
            self.check_origin(request)
        return cookie

    async def visitor(self, request: Request, door: Door) -> Conversation:
        """The session that a request may speak in."""
        self.check_pace(request)
        token = self.token(request, door)
        if not token:
            raise TokenUnknown("no token came with this; get one: POST /api/session")
        session = await self.session_of(token, door, request.client)
        asked = request.query.get("session_id")
        if asked is not None and asked not in (session.id, str(session.seq)):
            raise TokenForeign("this token opens another session; use the one of this session")
        return session

    async def session_of(self, token: str, door: Door, client: str) -> Conversation:
        """What a token opens; whoever tries many that open nothing has to wait."""
        network = network_of(client)
        try:
            if len(token) > MAX_TOKEN_CHARS:
                raise TokenUnknown("this token is not known; ask for a new session")
            return await door.sessions.check_token(token)
        except TokenUnknown:
            self._failures.take(network)
            raise

    async def keeper(self, request: Request, door: Door, scope: Scope) -> None:
        """Whoever looks after the bot, by token; or anybody here, while it is developed."""
        if bearer := bearer_of(request):
            ours = self.terms.admin_token
            if ours is not None and hmac.compare_digest(bearer.encode(), ours.encode()):
                return
            self.check_pace(request)
            try:
                await Tokens(door.sessions.store).check(bearer[:MAX_TOKEN_CHARS], scope)
            except TokenUnknown:
                self._failures.take(network_of(request.client))
                raise
            return
        if self.terms.dev and is_loopback(request.client):
            self.check_origin(request, needed=False)
            return
        self.check_pace(request)
        raise TokenUnknown(
            "the session API needs a token; make one with `sessionbot token new admin`, and send "
            "it as Authorization: Bearer"
        )


def bearer_of(request: Request) -> str:
    scheme, _, token = request.header(b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def network_of(address: str) -> str:
    """An address as one household has it: of IPv6, the first half."""
    if ":" not in address:
        return address
    try:
        whole = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(whole.ipv4_mapped or ipaddress.IPv6Network((whole, 64), strict=False))


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"


def allowed_hosts(host: str, names: Mapping[str, object] | frozenset[str]) -> frozenset[str]:
    """By which names we may be called when we listen at `host`."""
    given = frozenset(name.lower() for name in names)
    if given:
        return given | LOOPBACK
    if host in ("0.0.0.0", "::", ""):  # on every address, under whatever name
        return frozenset()
    return LOOPBACK | {host.lower()}


def check_terms(terms: Terms, host: str) -> None:
    """Refuse to open a door without a lock to the street."""
    if terms.dev and not (is_loopback(host) or host in LOOPBACK):
        raise UsageError(
            f"--dev opens the session API to everybody who reaches {host}; "
            "listen on 127.0.0.1, or set web.admin_token and leave --dev out"
        )


def _host_name(header: str) -> str:
    name = header.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]
