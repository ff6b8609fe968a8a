"""The I Ching: six lines by three coins or by yarrow, the lines that change, the second hexagram.

    !iching What now?             three coins: 6, 7, 8, 9 fall like 1 : 3 : 3 : 1
    !iching yarrow What now?      stalks of yarrow: 1 : 5 : 7 : 3
    !iching seed=1f               the same hexagram again

6 and 9 are old lines and change into their opposite. Names are those that Unicode gives; the short
texts are ours. One rule to remember: lines are counted from the bottom.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from unicodedata import name as unicode_name

from sessionbot_kit.dialog import Chat
from sessionbot_kit.extension import Plugin, PluginMeta
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.plugins.assistant.comment import comment
from sessionbot_kit.plugins.draws import a_seed, random_of, without_seed

LINES: Final = (6, 7, 8, 9)
ODDS: Final[Mapping[str, tuple[int, ...]]] = {"coins": (1, 3, 3, 1), "yarrow": (1, 5, 7, 3)}

# Bottom line first: 1 is whole, 0 is broken.
TRIGRAMS: Final[Mapping[tuple[int, ...], str]] = {
    (1, 1, 1): "heaven",
    (1, 0, 0): "thunder",
    (0, 1, 0): "water",
    (0, 0, 1): "mountain",
    (0, 0, 0): "earth",
    (0, 1, 1): "wind",
    (1, 0, 1): "fire",
    (1, 1, 0): "lake",
}
# The order of King Wen: a row for each lower trigram, a column for each upper one, as above.
KING_WEN: Final = (
    (1, 34, 5, 26, 11, 9, 14, 43),
    (25, 51, 3, 27, 24, 42, 21, 17),
    (6, 40, 29, 4, 7, 59, 64, 47),
    (33, 62, 39, 52, 15, 53, 56, 31),
    (12, 16, 8, 23, 2, 20, 35, 45),
    (44, 32, 48, 18, 46, 57, 50, 28),
    (13, 55, 63, 22, 36, 37, 30, 49),
    (10, 54, 60, 41, 19, 61, 38, 58),
)
TEXTS: Final = [
    "Strength that keeps going.",
    "Yield, and carry.",
    "Hard at first; look for helpers.",
    "Ask, and listen to the answer.",
    "Wait well; the rain will come.",
    "A quarrel: stop halfway.",
    "Many need one who leads calmly.",
    "Join while the door is open.",
    "Small means tame large things.",
    "Step lightly; the tiger sleeps.",
    "Above and below meet: peace.",
    "Nothing passes; save your strength.",
    "Company in the open field.",
    "Much is yours; share it.",
    "Be small without being false.",
    "Joy that moves others.",
    "Follow what is worth following.",
    "Mend what was left to spoil.",
    "The good time comes near.",
    "Look from high above.",
    "Bite through what is in the way.",
    "Beauty, for small things.",
    "It peels away; do not hold it.",
    "The turning point.",
    "Act without second thoughts.",
    "Great force, well kept.",
    "Mind what you feed.",
    "The beam bends; act now.",
    "Deep water twice; keep to the truth.",
    "Cling to what gives light.",
    "One touches the other.",
    "Last by renewing.",
    "Withdraw in time.",
    "Strong, therefore careful.",
    "The sun climbs.",
    "Hide your light for now.",
    "Begin at home.",
    "Differ, and meet in small things.",
    "An obstacle: turn to yourself.",
    "The knot comes loose.",
    "Less, given sincerely.",
    "More, so move.",
    "Say it openly, without force.",
    "A sudden meeting; be on guard.",
    "Gather around something true.",
    "Push upward, step by step.",
    "Exhausted; words do not help.",
    "The well stays where it is.",
    "Change when its day has come.",
    "The pot that feeds many.",
    "A shock, then laughter.",
    "Keep still.",
    "Grow as a tree does.",
    "Know your place in this.",
    "Noon: be glad, it passes.",
    "A guest in a strange land.",
    "Gently, again and again.",
    "Joy that is shared.",
    "What is stiff dissolves.",
    "Set a measure.",
    "Trust reaches even the fishes.",
    "Small things, done with care.",
    "Done; now guard it.",
    "Not yet across; mind the last step.",
]


def cast(seed: str, method: str = "coins") -> tuple[int, ...]:
    """Six lines, from the bottom."""
    return tuple(random_of(seed).choices(LINES, ODDS[method], k=6))


def number_of(lines: Sequence[int]) -> int:
    """The number of a hexagram of whole (1) and broken (0) lines."""
    order = list(TRIGRAMS)
    return KING_WEN[order.index(tuple(lines[:3]))][order.index(tuple(lines[3:]))]


def now_and_then(lines: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The hexagram that was cast, and the one that it changes into."""
    now = tuple(line % 2 for line in lines)
    then = tuple(1 - line % 2 if line in (6, 9) else line % 2 for line in lines)
    return now, then


def told(lines: Sequence[int]) -> str:
    """A hexagram in words: sign, number, name, trigrams, text."""
    number = number_of(lines)
    sign = chr(0x4DC0 + number - 1)
    name = unicode_name(sign).removeprefix("HEXAGRAM FOR ").capitalize()
    upper, lower = TRIGRAMS[tuple(lines[3:])], TRIGRAMS[tuple(lines[:3])]
    return f"{sign} {number}. {name} ({upper} above {lower}). {TEXTS[number - 1]}"


class IChing(Plugin):
    """Ask the I Ching: !iching or !iching yarrow, and a question if you like."""

    meta = PluginMeta(id="iching", version="1", implements={"chat.message": "answer"})
    prefixes = ("!iching",)

    async def answer(self, message: IncomingMessage, chat: Chat) -> str:
        words = message.content.split()
        seed = await a_seed(chat, words)
        words = without_seed(words)
        method = words.pop(0).lower() if words and words[0].lower() in ODDS else "coins"
        lines = cast(seed, method)
        now, then = now_and_then(lines)
        said = [told(now)]
        if now != then:
            old = ", ".join(str(n) for n, line in enumerate(lines, 1) if line in (6, 9))
            said += [f"Changing lines, from the bottom: {old}.", f"It becomes {told(then)}"]
        reading = "\n".join((*said, f"({method}, seed={seed})"))
        return reading + await comment(self, chat, " ".join(words), reading)


iching = IChing()
