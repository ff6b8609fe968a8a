import pytest

from sessionbot_kit.channel import Signal
from sessionbot_kit.events import Asked, HouseEvent, Offered, Signaled, Swapped
from sessionbot_kit.models import Media, OutgoingMessage
from sessionbot_kit.views.telling import Line, line_of, said


def reaction(content: str = "", *, removed: bool = False) -> Signaled:
    signal = Signal(
        kind="reacted",
        channel_type="loopback",
        channel_id="c",
        sender_id="ada",
        message_id="m1",
        content=content,
        removed=removed,
    )
    return Signaled(session="s", signal=signal)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Asked(turn="t", session="s", plugin="pizza"), ("waits", "pizza", "for an answer", "s")),
        (
            Offered(turn="t", session="s", plugin="p", kernel="k", attempt=3),
            ("offered", "p", "to k, attempt 3", "s"),
        ),
        (Swapped(plugin="p", version="1"), ("joined", "p", "version 1", "")),
        (Swapped(plugin="p", version="2", before="1"), ("swapped", "p", "version 1 → 2", "")),
        (Swapped(plugin="p", version=None, before="2"), ("left", "p", "version 2", "")),
        (Swapped(plugin="p", version="1", before="1", error="no"), ("refused", "p", "no", "")),
        (reaction(content="👍"), ("reacted", "ada", "👍", "s")),
        (reaction(), ("reacted", "ada", "m1", "s")),
        (reaction(removed=True), ("reacted", "ada", "no more", "s")),
    ],
)
def test_an_event_is_told_in_a_line(event: HouseEvent, line: tuple[str, ...]) -> None:
    assert line_of(event) == Line(*line)


def test_a_reply_is_told_with_the_names_of_its_files() -> None:
    picture = Media.from_bytes(b"x", name="cat.png")
    reply = OutgoingMessage(channel_type="l", channel_id="c", content="look", media=(picture,))
    assert said([reply]) == "look\n[cat.png]"
