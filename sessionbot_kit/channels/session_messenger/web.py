"""HTTP as this client needs it: bounded, without surprises, with one kind of error.

No redirects, no cookies of others, no compression, and no proxy but the one that is given: what
the environment says is for browsers.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpcore
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
            transport=Transport(verify=verify, proxy=proxy, trust_env=False),
            timeout=timeout,
            trust_env=False,
            headers=_HEADERS,
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


class Transport(httpx.AsyncHTTPTransport):
    """The transport of httpx, over connections that are closed when we are canceled."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._pool._network_backend = _Backend(self._pool._network_backend)


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(
            await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        # httpcore closes the connection when the handshake fails, and not when it is canceled:
        # then nobody would hold it any more, and nobody would close it.
        try:
            return await self._inner.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
