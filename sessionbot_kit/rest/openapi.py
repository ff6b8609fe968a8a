"""The API's description of itself, made of the table of operations: OpenAPI 3.1.

    document(OPERATIONS)["paths"]["/api/chat"]["post"]

The one rule to remember: nothing here is written by hand that the router does by itself.
"""

from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sessionbot_kit import __version__
from sessionbot_kit.rest.operations import Operation
from sessionbot_kit.rest.shapes import Fault

_REF: Final = "#/components/schemas/{model}"
# What the door itself may answer, by who may ask.
_AT_THE_DOOR: Final = {
    "anybody": (400, 421, 429, 503),
    "visitor": (400, 401, 403, 410, 421, 429, 503),
    "watch": (400, 401, 403, 421, 429, 503),
    "admin": (400, 401, 403, 421, 429, 503),
}
_TITLES: Final = {
    400: "What was sent cannot be used",
    401: "The token is missing, unknown or has expired",
    403: "The token opens another session, or a page of another site has asked",
    404: "There is no such thing",
    408: "The body came too slowly",
    409: "Something else happens to it at this moment, or it has ended",
    410: "The session of this token has ended; begin a new one",
    413: "Too large",
    415: "The body is no JSON",
    421: "This is not the name of this server",
    422: "The Idempotency-Key was used for something else",
    429: "Too much at once; Retry-After says when there is room again",
    503: "Not now; Retry-After says when to ask again",
}
_KEYS: Final = {"visitor": "session", "watch": "watch", "admin": "admin"}
_OK: Final = {200: "Done", 201: "Made", 202: "Taken; the answer follows", 204: "Done"}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "What is sent again with the same key happens once",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def document(operations: Iterable[Operation], *, server: str = "/") -> dict[str, Any]:
    """Describe these operations."""
    operations = tuple(operations)
    wanted: list[tuple[type[BaseModel], Any]] = [(Fault, "serialization")]
    for operation in operations:
        if operation.body is not None:
            wanted.append((operation.body, "validation"))
        wanted += [
            (model, "serialization")
            for answer in operation.answers.values()
            for model in _models(answer)
        ]
    unique = list(dict.fromkeys(wanted))
    references, definitions = models_json_schema(unique, ref_template=_REF)
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(
            operation, references
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "sessionbot_kit",
            "version": __version__,
            "summary": "Talk to a bot, and look after its sessions",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "session": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of one session, from POST /api/session",
                },
                "watch": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`sessionbot token new watch`, or a token for admin",
                },
                "admin": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "web.admin_token, or `sessionbot token new admin`",
                },
            },
        },
    }


def _described(operation: Operation, references: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": _responses(operation, references),
    }
    if operation.scope != "anybody":
        told["security"] = [{_KEYS[operation.scope]: []}]
    parameters = [
        {
            "name": each.name,
            "in": each.place,
            "required": each.required,
            "description": each.description,
            "schema": dict(each.schema),
        }
        for each in operation.parameters
    ]
    if operation.repeatable:
        parameters.append(_KEY)
    if parameters:
        told["parameters"] = parameters
    if operation.body is not None:
        schema = references[(operation.body, "validation")]
        required = operation.path != "/api/session"
        content = {"application/json": {"schema": schema}}
        told["requestBody"] = {"required": required, "content": content}
    elif operation.media:
        content = {operation.media: {"schema": {"type": "string", "format": "binary"}}}
        told["requestBody"] = {"required": True, "content": content}
    return told


def _responses(operation: Operation, references: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for status, answer in operation.answers.items():
        told[str(status)] = {"description": _OK[status]}
        if (models := _models(answer)) != ():
            schemas = [references[(model, "serialization")] for model in models]
            schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
            told[str(status)]["content"] = {"application/json": {"schema": schema}}
        elif answer is not None:
            told[str(status)]["content"] = {kind: {} for kind in answer}
    faults = {*_AT_THE_DOOR[operation.scope], *operation.faults}
    faults |= {409, 422} if operation.repeatable else set()
    for status in sorted(faults):
        schema = references[(Fault, "serialization")]
        told[str(status)] = {
            "description": _TITLES[status],
            "content": {"application/problem+json": {"schema": schema}},
        }
        if status in (429, 503):
            told[str(status)]["headers"] = {
                "Retry-After": {"description": "In seconds", "schema": {"type": "integer"}}
            }
    return told


def _models(answer: Any) -> tuple[type[BaseModel], ...]:
    if isinstance(answer, type):
        return (answer,)
    if isinstance(answer, tuple):
        return tuple(each for each in answer if isinstance(each, type))
    return ()
