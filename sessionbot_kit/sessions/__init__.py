"""Every conversation has memory: `SessionManager` creates, fills, summarizes, merges, exports.

    async with SessionManager.open("sqlite:///memory.db") as sessions:
        session = await sessions.get_or_create_session(
            interface_type="telegram", external_user_id="u1", external_chat_id="c1"
        )
        await sessions.add_message(session.id, "user", "Hello!")
        context = await sessions.build_context(session.id, 20)
        context.messages, context.total_tokens, context.has_summaries, context.omitted

A session is named by its id, its number or its key, everywhere. What a method gives back is a
value, true when it was read. The one rule to remember: **when a method returns, what it did is on
the disk.**

`manager.py` has what happens to whole sessions; `finding.py` begins and finds them, `talking.py`
adds lines, `belongings.py` has variables and memories. What they decide is pure and lies beside
them: `lifecycle.py` (states and clocks), `weave.py` (two conversations become one),
`transcript.py` (files), `template.py`, `limits.py`.
"""

from sessionbot_kit.sessions.conversation import Conversation, SessionTable
from sessionbot_kit.sessions.handover import Handover
from sessionbot_kit.sessions.janitor import Cleanup, Janitor
from sessionbot_kit.sessions.lifecycle import PROFILES, Clocks
from sessionbot_kit.sessions.limits import SessionLimits
from sessionbot_kit.sessions.manager import SessionManager
from sessionbot_kit.sessions.merging import MergeReport
from sessionbot_kit.sessions.policy import SessionPolicy
from sessionbot_kit.sessions.template import Template

__all__ = [
    "PROFILES",
    "Cleanup",
    "Clocks",
    "Conversation",
    "Handover",
    "Janitor",
    "MergeReport",
    "SessionLimits",
    "SessionManager",
    "SessionPolicy",
    "SessionTable",
    "Template",
]
