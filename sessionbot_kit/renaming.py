"""Takes people out of a recording: their ids and names become `person-1`, and so on.

    names = pseudonyms([recording])
    renamed(recording, names)         # the same talk, among people whom nobody knows
    told_back(take, names)            # what somebody of such a name was told, with the old names

What people wrote stays as it is: a recording of real people keeps their words. Ids of turns,
sessions and messages are replaced too, so that a file of recordings is the same whoever makes it.
The one rule to remember: what was **said** is left out; the plugin says it again, to `person-1`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from sessionbot_kit.recording import Recording, Take, document_of, take_of

_WORDS: Final = frozenset({"content", "raw_content", "text", "complaint", "caption"})


def pseudonyms(recordings: Iterable[Recording]) -> dict[str, str]:
    """Another name for each person, chat, session, turn and message."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}

    def name(old: str, kind: str, new: str | None = None) -> str:
        if old not in names:
            counts[kind] = counts.get(kind, 0) + 1
            names[old] = new or f"{kind}-{counts[kind]}"
        return names[old]

    for recording in recordings:
        for take in recording.takes:
            offer, message = take.offer, take.offer.message
            person = name(message.sender_id, "person")
            name(message.sender_name, "person", person.title().replace("-", " "))
            name(message.channel_id, "chat")
            name(offer.session_id, "session")
            for entry in offer.journal:
                name(entry.turn, "turn")
                if entry.kind in ("begin", "answer") and isinstance(entry.value, Mapping):
                    told: Any = entry.value.get("message") or {}
                    if "id" in told:
                        name(told["id"], "message")
            name(offer.turn, "turn")
            name(message.id, "message")
    return names


def renamed(recording: Recording, names: Mapping[str, str]) -> Recording:
    """The recording with other names; what came of its turns is still that of the old ones."""
    change = _changing(names)
    takes = [_mapped(take, change, words=False) for take in recording.takes]
    return replace(recording, takes=tuple(takes))


def told_back(take: Take, names: Mapping[str, str]) -> Take:
    """The take as it would read had it been told with the old names."""
    return _mapped(take, _changing({new: old for old, new in names.items()}), words=True)


def timeless(take: Take) -> Take:
    """The take without what differs from run to run."""
    return replace(take, result=replace(take.result, ms=0.0))


def _changing(names: Mapping[str, str]) -> Callable[[str], str]:
    either = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    pattern = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])")
    return lambda text: pattern.sub(lambda found: names[found[0]], text)


def _mapped(take: Take, change: Callable[[str], str], *, words: bool) -> Take:
    return take_of(orjson.dumps(_walk(document_of(take), change, words)).decode())


def _walk(value: Any, change: Callable[[str], str], words: bool) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_walk(item, change, words) for item in value]
        case dict():
            spoken = not words and value.get("role") != "assistant"
            return {
                key: item
                if spoken and key in _WORDS and isinstance(item, str)
                else _walk(item, change, words)
                for key, item in value.items()
            }
    return value
