"""What another client told of a whole recording, ours tells too."""

import hashlib
from base64 import b64decode
from typing import Any

from sessionbot_kit.channels.session_messenger.envelope import unpack
from sessionbot_kit.channels.session_messenger.events import (
    Approved,
    Event,
    MessageId,
    Passed,
    Reacted,
    ReadSeen,
    Said,
    TypingSeen,
    Unsent,
    understand,
)
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.words import WORDS

from .vectors import KEYS, MESSAGES, load

BOB = KEYS[1]["session_id"]
NOW = 1_767_225_600_000
OF_NO_USE = {"screenshotTaken", "mediaSaved"}  # to a bot


def ours(event: Event) -> list[tuple[Any, ...]]:
    match event:
        case Said(id=id, name=name, text=text, quote=quote, attachments=files):
            names = [file.file_name for file in files]
            return [("message", *id, name, text, quote and quote.timestamp, names)]
        case Reacted(id=id, target=target, emoji=emoji, removed=removed):
            return [("reactionRemoved" if removed else "reactionAdded", *target, emoji, id.author)]
        case ReadSeen(sender=sender, targets=targets):
            return [("messageRead", target.timestamp, sender) for target in targets]
        case TypingSeen(sender=sender, started=started):
            return [("messageTypingIndicator", started, sender)]
        case Approved(sender=sender, name=name):
            return [("messageRequestApproved", name, sender)]
        case Unsent(target=MessageId(author=author, timestamp=timestamp)):
            return [("messageDeleted", timestamp, author)]
        case Passed():
            return []


def theirs(kind: str, value: dict[str, Any]) -> tuple[Any, ...]:
    match kind:
        case "message":
            quote = value.get("replyToMessage", {}).get("timestamp")
            files = [file["name"] for file in value["attachments"]]
            name = value["author"]["displayName"]
            return (kind, value["from"], value["timestamp"], name, value["text"], quote, files)
        case "reactionAdded" | "reactionRemoved":
            target = value["messageAuthor"], value["messageTimestamp"]
            return (kind, *target, value["emoji"], value["reactionFrom"])
        case "messageTypingIndicator":
            return (kind, value["isTyping"], value["conversation"])
        case "messageRequestApproved":
            return (kind, value["profile"]["displayName"], value["conversation"])
        case _:
            return (kind, value["timestamp"], value.get("from") or value["conversation"])


def test_all_that_another_client_told_of_a_recording_we_tell_too(bob: Identity) -> None:
    records = [b64decode(made["data_b64"]) for made in MESSAGES if made["destination"] == BOB]
    heard = [understand(unpack(record, bob), me=BOB, now=NOW) for record in records]
    events = [(one["event"], one["value"]) for one in load("b_events.json")]
    wanted = [theirs(*one) for one in events if one[0] not in OF_NO_USE]
    told = [one for event in heard for one in ours(event)]
    assert sorted(told, key=str) == sorted(wanted, key=str)


def test_the_words_are_those_of_the_other_clients_in_their_order() -> None:
    digest = "998df55cb16d2318130c5cf7e9d4408247c8c4674935ee6e07d53f2f00ccf19b"
    assert hashlib.sha256("\n".join(WORDS).encode()).hexdigest() == digest
