"""The file server: what is uploaded lies there for three weeks, and anybody may fetch it.

It sees only what clients encrypted. The limit counts every byte that is uploaded.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from sessionbot_kit.channels.session_messenger.loopback.faults import Fault, HangsUp, Refuses
from sessionbot_kit.channels.session_messenger.loopback.http import Request, Response

KEPT_MS = 21 * 86_400_000
MAX_FILE_BYTES = 6_000_000  # the default of the real server; its operator may allow more


@dataclass(frozen=True, slots=True)
class File:
    data: bytes = field(repr=False)
    uploaded: int
    expires: int


class FileServer:
    """Files by number."""

    def __init__(
        self, now_ms: Callable[[], int], *, max_file_bytes: int = MAX_FILE_BYTES, seed: int = 0
    ) -> None:
        self.files: dict[str, File] = {}
        self.faults: list[Fault] = []
        self.requests = 0
        self.max_file_bytes = max_file_bytes
        self._now_ms = now_ms
        self._chance = random.Random(seed)

    async def answer(self, request: Request) -> Response:
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Refuses):
            return fault.response()
        response = self._answer(request)
        if isinstance(fault, HangsUp):
            return Response(response.status, response.body, response.content_type, fault.after)
        return response

    def _answer(self, request: Request) -> Response:
        match request.method, request.path.split("/")[1:]:
            case "POST", ["file"]:
                return self._upload(request)
            case "GET", ["file", id]:
                if (file := self._file(id)) is None:
                    return _status(404)
                return Response(200, file.data, "application/octet-stream")
            case "GET", ["file", id, "info"]:
                if (file := self._file(id)) is None:
                    return _status(404)
                times = {"uploaded": file.uploaded / 1000, "expires": file.expires / 1000}
                return _json(200, {"size": len(file.data), **times})
        return _status(404)

    def _upload(self, request: Request) -> Response:
        # A form is taken apart by the real server's framework and leaves no raw body.
        form = "form" in request.headers.get("content-type", "")
        if form or not 0 < len(request.body) <= self.max_file_bytes:
            return _status(413)
        id = str(self._chance.randrange(1, 1 << 53))
        now = self._now_ms()
        self.files[id] = File(request.body, now, now + KEPT_MS)
        return _json(200, {"id": id})

    def _file(self, id: str) -> File | None:
        file = self.files.get(id)
        return file if file is not None and file.expires > self._now_ms() else None


def _json(status: int, body: object) -> Response:
    return Response(status, orjson.dumps(body), "application/json")


def _status(status: int) -> Response:
    return _json(status, {"status_code": status})
