"""HTTP as this client needs it: bounded, without surprises, with one kind of error.

No redirects, no cookies of others, no compression, and no proxy but the one that is given: what
the environment says is for browsers.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from sessionbot_kit.errors import NodeError, SettingsError

CONNECT_TIMEOUT_S = 5.0

_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "sessionbot_kit"}


def open_web(
    *, verify: ssl.SSLContext | bool, proxy: str | None, timeout_s: float
) -> httpx.AsyncClient:
    """A client to be closed by who opened it."""
    timeout = httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s))
    try:
        return httpx.AsyncClient(
            verify=verify, proxy=proxy, timeout=timeout, trust_env=False, headers=_HEADERS
        )
    except ImportError as error:
        raise SettingsError(
            "a SOCKS proxy needs the package socksio; install it: pip install 'httpx[socks]'"
        ) from error
    except ValueError as error:
        raise SettingsError(
            f"the proxy cannot be used: {error}; write it as socks5://host:port"
        ) from error


async def post(
    web: httpx.AsyncClient, url: str, body: bytes, *, limit: int, timeout_s: float
) -> tuple[int, bytes]:
    """Send JSON and read the answer, at most `limit` bytes of it, within `timeout_s`."""
    headers = {"Content-Type": "application/json"}
    async with asking(web, "POST", url, headers=headers, content=body, timeout_s=timeout_s) as it:
        answer = bytearray()
        async for piece in it.aiter_raw():
            answer += piece
            if len(answer) > limit:
                raise NodeError(0, f"{url} answers with more than {limit:,} bytes; it is not read")
        return it.status_code, bytes(answer)


@asynccontextmanager
async def asking(
    web: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    content: bytes | AsyncIterator[bytes] | None = None,
) -> AsyncIterator[httpx.Response]:
    """A request and its answer; whatever goes wrong on the way is a NodeError."""
    try:
        async with (
            asyncio.timeout(timeout_s),
            web.stream(method, url, headers=headers, content=content) as response,
        ):
            yield response
    except TimeoutError as error:
        raise NodeError(0, f"{url} does not answer within {timeout_s:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        raise NodeError(0, f"{url} cannot be reached: {type(error).__name__} {error}") from error
