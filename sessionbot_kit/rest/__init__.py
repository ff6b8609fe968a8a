"""The verbs of the house over HTTP: sessions, chats, files, and a view of what waits.

    curl -X POST http://localhost:8080/api/session
    {"session_id": "0193...", "token": "mZkq..."}
    curl -H "Authorization: Bearer mZkq..." -H "Content-Type: application/json" \\
         -d '{"content": "!echo hello"}' http://localhost:8080/api/chat

`table.py` lists every operation, and is where a reader should begin; `guard.py` says who may ask,
`exchange.py` how a body is read, `problems.py` what a refusal looks like, `openapi.py` how the API
describes itself. The page and the server that carries both are in `sessionbot_kit.web`.

The one rule to remember: an id in a request never opens anything; a token does.
"""

from sessionbot_kit.rest.api import Api
from sessionbot_kit.rest.guard import Guard, Terms
from sessionbot_kit.rest.openapi import document
from sessionbot_kit.rest.operations import Room
from sessionbot_kit.rest.table import OPERATIONS

__all__ = ["OPERATIONS", "Api", "Guard", "Room", "Terms", "document"]
