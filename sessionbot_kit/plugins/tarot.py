"""Tarot: 78 cards, three spreads, cards that may stand on their heads.

    !tarot                        one card
    !tarot three What now?        past, present, future
    !tarot cross seed=1f          the ten places of the Celtic cross, laid again from its seed

The draw and the short texts come from here. A language model, where there is one, comments below
them. One rule to remember: the seed that is shown lays the same cards again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.plugins.assistant.comment import comment
from sessionbot_kit.plugins.draws import a_seed, random_of, without_seed

# Name, upright, on its head. The words are ours.
MAJOR: Final = (
    ("The Fool", "a first step into the open", "a leap with closed eyes"),
    ("The Magician", "what you need is on the table", "a trick that fools its maker"),
    ("The High Priestess", "a quiet knowing", "a secret kept too long"),
    ("The Empress", "something grows by itself", "care that leaves no air"),
    ("The Emperor", "order that holds", "a rule for the rule's sake"),
    ("The Hierophant", "what is handed down", "a custom that has gone hollow"),
    ("The Lovers", "a choice of the heart", "two wishes that pull apart"),
    ("The Chariot", "will with a direction", "speed without reins"),
    ("Strength", "gentleness that tames", "force where patience is needed"),
    ("The Hermit", "a lamp and a way of one's own", "a door that stays shut"),
    ("Wheel of Fortune", "the turn that comes", "the same round again"),
    ("Justice", "what is weighed fairly", "a thumb on the scales"),
    ("The Hanged Man", "another way of seeing", "waiting that has become a habit"),
    ("Death", "an end that makes room", "holding on to what has gone"),
    ("Temperance", "the right measure", "too much of one thing"),
    ("The Devil", "a chain that is worn willingly", "a chain that comes loose"),
    ("The Tower", "what was not sound falls", "a fall put off"),
    ("The Star", "hope after the storm", "a light not trusted"),
    ("The Moon", "the way through half-light", "fog that begins to lift"),
    ("The Sun", "plain joy", "joy behind a cloud"),
    ("Judgement", "a call that is heard", "a call not answered"),
    ("The World", "something is whole", "the last step not taken"),
)
SUITS: Final[Mapping[str, str]] = {
    "Wands": "in what you do",
    "Cups": "in what you feel",
    "Swords": "in what you think",
    "Pentacles": "in what you own and make",
}
RANKS: Final = (
    ("Ace", "a beginning", "a beginning put off"),
    ("Two", "two that look at each other", "two that do not decide"),
    ("Three", "the first fruit", "a fruit picked too early"),
    ("Four", "a firm stand", "a stand that has become stiff"),
    ("Five", "a quarrel worth having", "a quarrel that can be laid down"),
    ("Six", "help on the way", "help with a string to it"),
    ("Seven", "a test of patience", "patience that runs out"),
    ("Eight", "quick work", "haste, or a standstill"),
    ("Nine", "nearly there", "worry before the end"),
    ("Ten", "the full measure", "more than can be carried"),
    ("Page", "a curious question", "a question not meant"),
    ("Knight", "a bold errand", "a ride in the wrong direction"),
    ("Queen", "care with insight", "insight without care"),
    ("King", "calm mastery", "mastery that only commands"),
)
SPREADS: Final[Mapping[str, tuple[str, ...]]] = {
    "one": ("the day",),
    "three": ("past", "present", "future"),
    "cross": (
        *("the matter", "what crosses it", "what lies below", "what lies behind"),
        *("what may come", "what comes soon", "yourself", "those around you"),
        *("hope and fear", "where it leads"),
    ),
}


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it lies on the table."""

    name: str
    upright: str
    on_its_head: str
    reversed: bool = False

    def __str__(self) -> str:
        if self.reversed:
            return f"{self.name}, reversed: {self.on_its_head}"
        return f"{self.name}: {self.upright}"


DECK: Final = tuple(Card(*card) for card in MAJOR) + tuple(
    Card(f"{rank} of {suit}", f"{upright} {where}", f"{on_its_head} {where}")
    for suit, where in SUITS.items()
    for rank, upright, on_its_head in RANKS
)


def lay(seed: str, count: int) -> list[Card]:
    """Shuffle the deck and take cards from its top, each on its feet or on its head."""
    random = random_of(seed)
    drawn = random.sample(DECK, count)
    return [
        Card(card.name, card.upright, card.on_its_head, random.random() < 0.5) for card in drawn
    ]


class Tarot(Plugin):
    """Lay tarot cards: !tarot, !tarot three, !tarot cross, and a question if you like."""

    meta = PluginMeta(id="tarot", version="1", implements={"chat.message": "answer"})
    prefixes = ("!tarot",)

    async def answer(self, message: IncomingMessage, chat: Chat) -> str:
        words = message.content.split()
        seed = await a_seed(chat, words)
        words = without_seed(words)
        spread = words.pop(0).lower() if words and words[0].lower() in SPREADS else "one"
        places = SPREADS[spread]
        cards = lay(seed, len(places))
        lines = [f"{place}: {card}" for place, card in zip(places, cards, strict=True)]
        reading = "\n".join((*lines, f"(seed={seed})"))
        return reading + await comment(self, chat, " ".join(words), reading)


tarot = Tarot()
