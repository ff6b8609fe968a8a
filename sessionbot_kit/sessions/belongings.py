"""What a session, a user and a bot have: variables, context, memories.

    await sessions.set_variables(session.id, {"size": "large"})
    await sessions.set_context(session.id, knowledge=["policies"], llm={"temperature": 0.2})
    await sessions.remember({"color": "red"}, user="u1")

Three scopes that never mix: a variable belongs to one session, a memory to one user or to one bot.
The one rule to remember: every write is a change of named values, so two that write at the same
time lose nothing of each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue

from sessionbot_kit.errors import UsageError
from sessionbot_kit.sessions.conversation import Conversation
from sessionbot_kit.sessions.finding import Finding, state_parts
from sessionbot_kit.sessions.revision import found
from sessionbot_kit.sessions.template import Template, read_template
from sessionbot_kit.sessions.weave import deepened, joined
from sessionbot_kit.store import Change, Loaded, Memory, NewMessage, SessionRef


class Belongings(Finding):
    """Keeps what belongs to somebody."""

    async def variables(self, ref: SessionRef) -> Mapping[str, JsonValue]:
        """All variables of a session."""
        return (await found(self.store, ref)).session.variables

    async def set_variables(
        self, ref: SessionRef, values: Mapping[str, JsonValue], *, drop: Sequence[str] = ()
    ) -> Conversation:
        """Set these variables and drop those; the others stay as they are."""

        def decide(loaded: Loaded) -> list[Change]:
            variables = {**loaded.session.variables, **values}
            for name in drop:
                variables.pop(name, None)
            self.policy.limits.check_variables(variables)
            return [Change(loaded.session.id, variables=variables)]

        return await self._revised(ref, decide)

    async def set_context(
        self,
        ref: SessionRef,
        *,
        knowledge: Sequence[str] | None = None,
        tools: Sequence[str] | None = None,
        llm: Mapping[str, JsonValue] | None = None,
        prompts: Sequence[str] | None = None,
    ) -> Conversation:
        """Replace what is given: knowledge bases, tools, language model settings, prompts."""
        given: dict[str, JsonValue] = {
            name: list(value)
            for name, value in (("knowledge", knowledge), ("tools", tools), ("prompts", prompts))
            if value is not None
        }
        if llm is not None:
            given["llm"] = dict(llm)

        def decide(loaded: Loaded) -> list[Change]:
            return [Change(loaded.session.id, context={**loaded.session.context, **given})]

        return await self._revised(ref, decide)

    async def update_state(
        self,
        ref: SessionRef,
        state: Mapping[str, Mapping[str, JsonValue]],
        *,
        deep: bool = True,
    ) -> Conversation:
        """Merge into variables, context and preferences; `deep=False` replaces whole values."""
        parts = state_parts(state)
        merge = deepened if deep else lambda old, new: {**old, **new}

        def decide(loaded: Loaded) -> list[Change]:
            session = loaded.session
            variables = merge(session.variables, parts.get("variables", {}))
            self.policy.limits.check_variables(variables)
            change = Change(
                session.id,
                variables=variables,
                context=merge(session.context, parts.get("context", {})),
            )
            if "preferences" in parts:
                preferences = merge(_preferences(session.metadata), parts["preferences"])
                change = replace(change, metadata={**session.metadata, "preferences": preferences})
            return [change]

        return await self._revised(ref, decide)

    async def load_template(self, ref: SessionRef, template: Template | str) -> Conversation:
        """Set a session up: context, variables, and the first thing that the bot says."""
        if isinstance(template, str):
            template = read_template(self.policy.templates, template)
        chosen = template

        def decide(loaded: Loaded) -> list[Change]:
            session = loaded.session
            variables = {**chosen.variables, **session.variables}
            self.policy.limits.check_variables(variables)
            first = NewMessage(
                "assistant",
                chosen.message,
                self.policy.clock(),
                self.policy.tokenizer_of(session).count(chosen.message),
            )
            return [
                Change(
                    session.id,
                    append=(first,) if chosen.message else (),
                    variables=variables,
                    context=joined(session.context, chosen.context),
                )
            ]

        return await self._revised(ref, decide)

    async def remember(
        self,
        values: Mapping[str, JsonValue],
        *,
        user: str | None = None,
        bot: str | None = None,
    ) -> None:
        """Keep something beyond a session, for a user or for a bot; None forgets it."""
        scope, owner = _owner(user, bot)
        await self.store.remember(
            *(Memory(scope, owner, name, value) for name, value in values.items())
        )

    async def recall(
        self, *, user: str | None = None, bot: str | None = None
    ) -> Mapping[str, JsonValue]:
        """All that is remembered of a user, or of a bot."""
        return await self.store.memories(*_owner(user, bot))


def _preferences(metadata: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    value = metadata.get("preferences")
    return value if isinstance(value, dict) else {}


def _owner(user: str | None, bot: str | None) -> tuple[str, str]:
    if user is not None and bot is None:
        return "user", user
    if bot is not None and user is None:
        return "bot", bot
    raise UsageError("a memory belongs to a user or to a bot; give one of user= and bot=")
