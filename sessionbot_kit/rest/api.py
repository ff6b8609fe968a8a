"""The API of a bot: finds the operation, asks the guard, and makes every end an answer.

    api = Api(OPERATIONS)
    answer = await api.answer(request, room)

This is a boundary: whatever goes wrong behind it becomes a problem document, and what is ours to
repair is logged with its traceback and told as a plain 500.
"""

import logging
from functools import partial
from time import perf_counter
from typing import Final

from sessionbot_kit.errors import KitError
from sessionbot_kit.rest.exchange import Answer, Hangup, Request, json_answer, problem_answer
from sessionbot_kit.rest.idempotency import Memo
from sessionbot_kit.rest.metrics import Metrics
from sessionbot_kit.rest.openapi import document
from sessionbot_kit.rest.operations import Ask, Operation, Room, Router
from sessionbot_kit.rest.problems import Problem, problem_of
from sessionbot_kit.rest.table import OPERATIONS

log = logging.getLogger(__name__)

MAX_KEY_CHARS: Final = 255
DESCRIPTION: Final = "/api/openapi.json"


class Api:
    """All operations of all bots behind a door."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self._router = Router(OPERATIONS)
        self._memo = Memo()

    def serves(self, path: str) -> bool:
        return path == DESCRIPTION or self._router.find(path) is not None

    async def answer(self, request: Request, room: Room) -> Answer:
        """Answer whatever comes; raises Hangup when nobody is there any more."""
        began = perf_counter()
        found = self._router.find(request.path)
        name = "unknown"
        try:
            if request.path == DESCRIPTION and request.method in ("GET", "HEAD"):
                return json_answer(document(OPERATIONS, server=room.path or "/"))
            if found is None:
                raise Problem(404, "not_found", "there is nothing at this path")
            operations, request.params = found
            method = "GET" if request.method == "HEAD" else request.method
            if (operation := operations.get(method)) is None:
                raise _not_allowed(operations)
            name = operation.name
            answer = await self._run(operation, request, room)
        except Hangup:
            raise
        except Problem as problem:
            answer = problem_answer(problem)
        except KitError as error:
            answer = problem_answer(problem_of(error))
            if answer.status >= 500:
                log.error("request failed", extra={"path": name, "error": str(error)})
        except Exception:  # ours to repair
            log.exception("request failed", extra={"path": name})
            answer = problem_answer(Problem(500, "internal"))
        self.metrics.asked(name, answer.status, perf_counter() - began)
        return answer

    async def _run(self, operation: Operation, request: Request, room: Room) -> Answer:
        ask = Ask(request, room)
        who = "admin"
        if operation.scope == "visitor":
            ask.visitor = await room.guard.visitor(request, room)
            who = ask.visitor.id
        elif operation.scope != "anybody":
            await room.guard.keeper(request, room, operation.scope)
        elif operation.tag != "house":
            room.guard.check_pace(request)
        key = request.header(b"idempotency-key")
        if not key or not operation.repeatable:
            return await operation.handler(ask)
        if len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
            raise Problem(400, "invalid", "an Idempotency-Key has 1 to 255 printable characters")
        asked = await request.body()
        work = partial(operation.handler, ask)
        return await self._memo.once(f"{room.path}|{who}|{operation.name}", key, asked, work)


def _not_allowed(operations: object) -> Problem:
    assert isinstance(operations, dict)
    allowed = {*operations, *(("HEAD",) if "GET" in operations else ())}
    return Problem(
        405,
        "method_not_allowed",
        f"this path takes {', '.join(sorted(allowed))}",
        headers=((b"allow", ", ".join(sorted(allowed)).encode()),),
    )
