"""`Chat`: what a plugin holds while it talks in a session.

    @plugin("!count")
    async def count(message, chat):
        chat.vars["n"] = chat.vars.get("n", 0) + 1       # kept with the conversation
        return f"That was number {chat.vars['n']}."

What a plugin says and remembers here is written together with the end of its turn, or not at all.
"""

from collections.abc import Mapping

import orjson
from pydantic import JsonValue

from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import IncomingMessage, OutgoingMessage, StoredMessage


class Chat:
    """One turn's view of a conversation: its variables, its history, and a voice."""

    def __init__(
        self,
        message: IncomingMessage,
        *,
        session: str,
        variables: Mapping[str, JsonValue],
        window: tuple[StoredMessage, ...],
    ) -> None:
        self.message = message
        self.session = session
        self._before = orjson.dumps(dict(variables))
        # A copy through and through: a plugin that appends to a list must not change the session.
        self.vars: dict[str, JsonValue] = orjson.loads(self._before)
        self.said: list[OutgoingMessage] = []
        self._window = window

    @property
    def user(self) -> str:
        """Who is talking, as the channel names them."""
        return self.message.sender_id

    def say(self, content: str) -> None:
        """Say something before the answer that the turn returns."""
        self.said.append(self.message.reply(content))

    def history(self, n: int = 20) -> tuple[StoredMessage, ...]:
        """The last lines before this message, oldest first."""
        return self._window[-n:] if n > 0 else ()

    def changes(self) -> dict[str, JsonValue] | None:
        """The variables to keep, or None when they are as they were."""
        try:
            after = orjson.dumps(self.vars)
        except TypeError as error:
            raise UsageError(
                f"chat.vars holds what is not JSON ({error}); keep plain data"
            ) from error
        return None if after == self._before else self.vars

    def __repr__(self) -> str:
        return f"chat with {self.user}: {len(self._window)} lines, {len(self.vars)} variables"
