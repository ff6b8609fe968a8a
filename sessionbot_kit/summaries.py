"""Summarizes beside the turns: an answer never waits for a summary.

    summaries = Summaries(sessions)
    summaries.look(session_id)                # after a turn; returns at once
    await summaries.settle()
    await summaries.stop()

Whether one is due is read off the session as it is, so nothing has to be remembered: a summary
that a kill or a stop has interrupted is written after the next turn.
"""

import asyncio
import logging

from sessionbot_kit.crew import Crew
from sessionbot_kit.sessions import SessionManager

log = logging.getLogger(__name__)


class Summaries:
    """At most one summary at a time for each session."""

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions = sessions
        self._crew = Crew("summaries")
        self._running: dict[str, asyncio.Task[None]] = {}

    def look(self, session_id: str) -> None:
        """Begin a summary, if one is due and none is being written."""
        if session_id not in self._running and self._sessions.is_long(session_id):
            task = self._crew.start(self._summarize(session_id), f"session {session_id}")
            self._running[session_id] = task

    async def settle(self) -> None:
        """Wait for the summaries that are being written."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def stop(self) -> None:
        """Give up what is being written."""
        await self._crew.stop()

    async def _summarize(self, session_id: str) -> None:
        try:
            await self._sessions.summarize(session_id)
        except Exception:  # a scheduled job: the next turn tries again
            log.exception("summary failed", extra={"session": session_id})
        finally:
            del self._running[session_id]
