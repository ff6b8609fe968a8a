"""People, turns, time and crashes in any order, against a model that fits on one page."""

import asyncio
import shutil
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sessionbot_kit import Chat, plugin
from sessionbot_kit.answering import ANSWER_AGAIN, CANCELED, NOTHING_TO_CANCEL, PUT_AWAY
from sessionbot_kit.testing import Person

words = st.sampled_from(["tea", "milk", "more tea"])


@plugin("!shop")
async def shop(chat: Chat) -> str:
    chat.vars["visits"] = int(str(chat.vars.get("visits", 0))) + 1
    cart: Any = chat.vars.setdefault("cart", [])
    while (item := await chat.ask("What?", timeout=600, default="done")) != "done":
        if item == "poison":
            raise ValueError("no poison here")
        cart.append(item)
        await chat.say(f"{item}, noted.")
        chat.vars["items"] = int(str(chat.vars.get("items", 0))) + 1
    number = await chat.once("number", lambda: len(cart))
    return f"{number} things."


@plugin("!later")
async def later(chat: Chat) -> str:
    await chat.later(300, "Now.")
    chat.vars["visits"] = int(str(chat.vars.get("visits", 0))) + 1
    return "I will."


class Conversation(RuleBasedStateMachine):
    """What a person does; each rule says what the bot must answer."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.person = Person((shop, later), self.folder, "ada")
        self.variables: dict[str, Any] = {}
        self.open_until: datetime | None = None
        self.reminders: list[datetime] = []

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.person.aclose())
            self.loop.close()
            shutil.rmtree(self.folder)

    def says(self, text: str) -> list[str]:
        return self.loop.run_until_complete(self.person.says(text))

    def ask_again(self) -> None:
        self.open_until = self.person.clock.now() + timedelta(seconds=600)

    def count(self, name: str) -> None:
        self.variables[name] = self.variables.get(name, 0) + 1

    @rule()
    def goes_shopping(self) -> None:
        put_away = [PUT_AWAY.format("shop")] if self.open_until else []
        self.count("visits")
        self.variables.setdefault("cart", [])
        assert self.says("!shop") == [*put_away, "What?"]
        self.ask_again()

    @precondition(lambda self: self.open_until is not None)
    @rule(item=words)
    def wants(self, item: str) -> None:
        assert self.says(item) == [f"{item}, noted.", "What?"]
        self.variables["cart"].append(item)
        self.count("items")
        self.ask_again()

    @precondition(lambda self: self.open_until is not None)
    @rule()
    def has_done(self) -> None:
        assert self.says("done") == [f"{len(self.variables['cart'])} things."]
        self.open_until = None

    @precondition(lambda self: self.open_until is not None)
    @rule()
    def wants_what_fails(self) -> None:
        assert self.says("poison") == [ANSWER_AGAIN]
        self.open_until = self.person.clock.now() + timedelta(days=1)

    @precondition(lambda self: self.open_until is None)
    @rule(item=words)
    def says_what_nobody_asked_for(self, item: str) -> None:
        assert self.says(item) == []

    @rule()
    def cancels(self) -> None:
        was_open, self.open_until = self.open_until is not None, None
        assert self.says("/cancel") == [CANCELED if was_open else NOTHING_TO_CANCEL]

    @rule()
    def asks_to_be_reminded(self) -> None:
        assert self.says("!later") == ["I will."]
        self.count("visits")
        self.reminders.append(self.person.clock.now() + timedelta(seconds=300))

    @rule()
    def bot_dies(self) -> None:
        self.person.restart()

    @rule(minutes=st.integers(1, 9))
    def time_passes(self, minutes: int) -> None:
        now = self.person.clock.now() + timedelta(minutes=minutes)
        said = self.loop.run_until_complete(self.person.waits(minutes=minutes))
        expected = ["Now." for due in self.reminders if due <= now]
        self.reminders = [due for due in self.reminders if due > now]
        if self.open_until is not None and self.open_until <= now:
            expected.append(f"{len(self.variables['cart'])} things.")
            self.open_until = None
        assert sorted(said) == sorted(expected)

    @invariant()
    def variables_are_as_they_should_be(self) -> None:
        if hasattr(self, "person") and self.person.heard:
            assert self.loop.run_until_complete(self.person.variables()) == self.variables


TestConversation = Conversation.TestCase
TestConversation.settings = settings(
    max_examples=max(20, settings().max_examples // 5), stateful_step_count=15, deadline=None
)
