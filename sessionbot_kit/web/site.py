"""The files of the page: read once, kept compressed, and sent with a policy that lets in no other.

    site = Site()
    site.find("/assets/chat.js")               # an Answer, or None

The one rule to remember: a page loads nothing from anywhere else and runs no script but its own.
"""

import gzip
import hashlib
from importlib.resources import files
from typing import Final

from sessionbot_kit.rest.exchange import Answer, Request

TYPES: Final = {
    "html": b"text/html; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "css": b"text/css; charset=utf-8",
    "svg": b"image/svg+xml",
}
POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    b"media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    b"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
# On every answer of this door, page or not.
HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
_ASSETS: Final = ("chat.js", "chat.css", "icon.svg")


class Site:
    """The page and what it loads."""

    def __init__(self) -> None:
        folder = files("sessionbot_kit.web") / "page"
        self._page = _Asset(folder.joinpath("index.html").read_bytes(), TYPES["html"])
        self._assets = {
            f"/assets/{name}": _Asset(
                folder.joinpath(name).read_bytes(), TYPES[name.rpartition(".")[2]]
            )
            for name in _ASSETS
        }

    def page(self, request: Request) -> Answer:
        return self._page.answer(request)

    def asset(self, request: Request) -> Answer | None:
        asset = self._assets.get(request.scope["path"])
        return None if asset is None else asset.answer(request)


class _Asset:
    def __init__(self, body: bytes, type: bytes) -> None:
        self._body = body
        self._packed = gzip.compress(body, 9, mtime=0)
        self._type = type
        self._tag = b'"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"'

    def answer(self, request: Request) -> Answer:
        headers = (
            (b"etag", self._tag),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept-encoding"),
            (b"content-security-policy", POLICY),
        )
        if request.headers.get(b"if-none-match") == self._tag:
            return Answer(304, b"", self._type, headers)
        if b"gzip" in request.headers.get(b"accept-encoding", b""):
            packed = (*headers, (b"content-encoding", b"gzip"))
            return Answer(200, self._packed, self._type, packed)
        return Answer(200, self._body, self._type, headers)
