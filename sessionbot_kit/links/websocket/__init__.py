"""A link over WebSockets: gateway and plugin kernel in two processes, or on two machines.

    async with serve_links(gateway.serve, check_token=one_token("s3cret")) as server: ...
    async with connect_link(f"ws://127.0.0.1:{server.port}", token="s3cret") as link: ...

    upgrade    who may open a connection                      rules      every bound and deadline
    server     the gateway's side: many sessions              sockets    frames where they come in
    client     the kernel's side: one session                 tap        frames as they pass
    link       what an application holds, over many sockets   exchange   link frames in, bytes out
    spool      large attachments as files                     envelope   the link's own words

The one rule to remember: a session is not its connection. Connections break; a session ends when
one side closes it, or when nobody comes back in time.
"""

from sessionbot_kit.backoff import Backoff
from sessionbot_kit.links.websocket.client import ClientLink, connect_link
from sessionbot_kit.links.websocket.link import WebSocketLink
from sessionbot_kit.links.websocket.rules import BINARY, DEFAULT_PORT, TEXT, Rules
from sessionbot_kit.links.websocket.server import LinkServer, serve_links
from sessionbot_kit.links.websocket.tap import Passing, Seen, Tap
from sessionbot_kit.links.websocket.upgrade import CheckToken, one_token

__all__ = [
    "BINARY",
    "DEFAULT_PORT",
    "TEXT",
    "Backoff",
    "CheckToken",
    "ClientLink",
    "LinkServer",
    "Passing",
    "Rules",
    "Seen",
    "Tap",
    "WebSocketLink",
    "connect_link",
    "one_token",
    "serve_links",
]
