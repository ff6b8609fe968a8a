"""Frames become documents and come back; what a peer must not send is refused."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.errors import MessageError, WireError
from sessionbot_kit.frames import ADAPTERS, conversation_of, from_document, media_bytes, to_document
from sessionbot_kit.journal import Entry, Later, Progress
from sessionbot_kit.link import (
    Bye,
    Event,
    Frame,
    Hello,
    Offer,
    Result,
    Step,
    Stepped,
    Watch,
    Watched,
)
from sessionbot_kit.models import IncomingMessage, Media, OutgoingMessage, StoredMessage
from sessionbot_kit.routes import Route

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
variables = st.dictionaries(texts, st.none() | st.booleans() | texts | st.lists(st.integers(0, 9)))
media = st.lists(
    st.builds(Media.from_bytes, st.binary(max_size=50), name=ids, caption=texts)
    | st.builds(Media, sha256=st.just("0" * 64), name=texts),
    max_size=3,
).map(tuple)
incoming = st.builds(
    IncomingMessage,
    id=ids,
    channel_type=ids,
    channel_id=ids,
    sender_id=ids,
    sender_name=texts,
    content=texts,
    timestamp=st.just(NOON),
    media=media,
)
outgoing = st.builds(OutgoingMessage, channel_type=ids, channel_id=ids, content=texts, media=media)
stored = st.builds(
    StoredMessage,
    session_id=ids,
    seq=st.integers(0, 99),
    role=st.sampled_from(["user", "assistant"]),
    content=texts,
    timestamp=st.just(NOON),
    media=media,
)
numbers = st.integers(0, 2**63 - 1)
moments = st.datetimes(timezones=st.just(UTC))
entries = st.lists(
    st.builds(Entry, kind=ids, name=texts, value=st.none() | variables, turn=ids, said=numbers),
    max_size=3,
).map(tuple)
laters = st.lists(st.builds(Later, due=moments, text=texts), max_size=2).map(tuple)
frames = st.one_of(
    st.builds(
        Hello,
        bot=ids,
        kernel=ids,
        routes=st.lists(st.builds(Route, plugin=ids, default=st.booleans())).map(tuple),
    ),
    st.builds(
        Offer,
        turn=ids,
        attempt=numbers,
        epoch=numbers,
        plugin=ids,
        session_id=ids,
        message=incoming,
        variables=variables,
        window=st.lists(stored, max_size=3).map(tuple),
        now=moments,
        seed=numbers,
        journal=entries,
        timed_out=st.booleans(),
    ),
    st.builds(
        Step,
        turn=ids,
        attempt=numbers,
        epoch=numbers,
        progress=st.builds(
            Progress,
            entries=entries,
            replies=st.lists(outgoing, max_size=3).map(tuple),
            variables=st.none() | variables,
            later=laters,
            anew=st.booleans(),
        ),
    ),
    st.builds(Stepped, turn=ids, attempt=numbers, epoch=numbers, ok=st.booleans()),
    st.builds(
        Result,
        turn=ids,
        attempt=numbers,
        epoch=numbers,
        replies=st.lists(outgoing, max_size=3).map(tuple),
        variables=st.none() | variables,
        error=st.none() | texts,
        ms=st.floats(0, 1e6),
        asks=st.booleans(),
        timeout_s=st.none() | st.floats(0, 1e6),
        entries=entries,
        later=laters,
        anew=st.booleans(),
        changed=st.none() | texts,
    ),
    st.builds(Event, turn=ids, kind=ids, detail=variables),
    st.builds(Watch, what=ids),
    st.builds(Watched, what=ids, events=st.lists(variables).map(tuple), lost=numbers),
    st.builds(Bye, reason=texts),
)


def picture(**fields: Any) -> Media:
    return Media(name="cat.png", mime="image/png", kind="image", **fields)


def offer(*pictures: Media) -> Offer:
    message = IncomingMessage(
        id="1",
        channel_type="web",
        channel_id="c",
        sender_id="u",
        sender_name="Ada",
        content="hi",
        timestamp=NOON,
        media=pictures,
    )
    return Offer("t1", 1, 7, "echo", "s1", message)


def over_json(document: dict[str, Any]) -> dict[str, Any]:
    """What a codec does: JSON for the document, raw bytes for its attachments."""
    blobs = document.pop("attachments", None)
    found: dict[str, Any] = json.loads(json.dumps(document))
    if blobs is not None:
        found["attachments"] = blobs
    return found


@given(frames)
def test_a_frame_is_the_same_after_the_wire(frame: Frame) -> None:
    assert from_document(over_json(to_document(frame))) == frame


def test_bytes_travel_beside_the_document_and_never_in_it() -> None:
    document = to_document(offer(picture(data=b"\xff\x00")))
    assert document["attachments"] == [{"content": b"\xff\x00"}]
    assert document["message"]["media"][0]["data"] is None
    assert document["message"]["media"][0]["blob"] == 0


def test_bytes_may_arrive_as_a_view_of_a_buffer() -> None:
    document = to_document(offer(picture(data=b"\xff\x00")))
    document["attachments"] = [{"content": memoryview(b"\xff\x00")}]
    assert from_document(document) == offer(picture(data=b"\xff\x00"))


def test_reading_changes_nothing_that_the_caller_sees_at_the_top() -> None:
    document = to_document(Bye("done"))
    from_document(document)
    assert document == {"type": "bye", "reason": "done"}


def test_media_that_are_elsewhere_are_not_sent() -> None:
    with pytest.raises(
        MessageError, match=r"cat\.png is at http://10\.0\.0\.1/; .* fetch it first"
    ):
        to_document(offer(picture(url="http://10.0.0.1/")))


def test_a_file_of_ours_is_sent_as_its_bytes_and_its_path_stays_here(tmp_path: Path) -> None:
    document = to_document(offer(picture(path=tmp_path / "cat.png", url="http://10.0.0.1/")))
    assert document["attachments"] == [{"content": tmp_path / "cat.png"}]
    assert document["message"]["media"][0]["path"] is None
    assert document["message"]["media"][0]["url"] is None


def test_a_file_that_was_written_for_an_attachment_becomes_the_path_of_its_media() -> None:
    document = to_document(offer(picture(data=b"\xff")))
    document["attachments"] = [{"content": Path("/spool/link-1")}]
    assert from_document(document) == offer(picture(path=Path("/spool/link-1")))


def test_how_much_is_media_is_known_before_it_is_laid_out(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"12345")
    assert media_bytes(offer(picture(data=b"123"), picture(path=tmp_path / "cat.png"))) == 8
    assert media_bytes(offer(picture(sha256="0" * 64))) == media_bytes(Bye()) == 0


@pytest.mark.parametrize("field", ["path", "url"])
def test_a_peer_cannot_make_us_open_a_path_or_fetch_an_address(field: str) -> None:
    document = to_document(offer(picture(sha256="0" * 64)))
    document["message"]["media"][0][field] = "/etc/passwd"
    with pytest.raises(WireError, match="points to /etc/passwd"):
        from_document(document)


def test_a_peer_cannot_put_bytes_into_the_document() -> None:
    document = to_document(offer(picture(sha256="0" * 64)))
    document["message"]["media"][0]["data"] = "aGk="
    with pytest.raises(WireError, match="0 attachments and 1 media with bytes"):
        from_document(document)


@pytest.mark.parametrize("blob", [-1, 1, True, "0", None, 0.0, [0]])
def test_a_blob_that_is_not_there_is_refused(blob: object) -> None:
    document = to_document(offer(picture(data=b"a")))
    document["message"]["media"][0]["blob"] = blob
    with pytest.raises(WireError, match="number them in order"):
        from_document(document)


def test_an_attachment_belongs_to_one_media_only() -> None:
    document = to_document(offer(picture(data=b"a"), picture(data=b"b")))
    document["message"]["media"][1]["blob"] = 0
    with pytest.raises(WireError, match="one attachment each"):
        from_document(document)


def test_an_attachment_that_belongs_to_nobody_is_refused() -> None:
    document = to_document(Bye())
    document["attachments"] = [{"content": b"a"}]
    with pytest.raises(WireError, match="1 attachments and 0 media"):
        from_document(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("type",), "control"),
        (("type",), None),
        (("type",), ["offer"]),
        (("more",), 1),
        (("turn",), ""),
        (("turn",), "x" * 513),
        (("attempt",), -1),
        (("attempt",), True),
        (("attempt",), "1"),
        (("epoch",), 2**63),
        (("message",), None),
        (("message",), []),
        (("message", "more"), 1),
        (("message", "timestamp"), "2026-01-02T12:00:00"),
        (("message", "content"), 5),
        (("message", "media"), {"a": 1}),
        (("message", "media"), [None]),
        (("message", "media"), [{"kind": "tank"}]),
        (("variables",), []),
        (("window",), {}),
        (("window",), [1]),
    ],
)
def test_what_a_peer_must_not_send_is_a_wire_error(path: tuple[str, ...], value: object) -> None:
    document = over_json(to_document(offer()))
    spoiled: Any = document
    for part in path[:-1]:
        spoiled = spoiled[part]
    spoiled[path[-1]] = value
    with pytest.raises(WireError, match="a frame of type"):
        from_document(copy.deepcopy(document))


def test_a_field_that_nobody_knows_is_refused_in_routes_too() -> None:
    document = over_json(to_document(Hello("bot", "kernel", (Route("echo"),))))
    document["routes"][0]["more"] = 1
    with pytest.raises(WireError, match=r"routes\.0\.more"):
        from_document(document)


def test_a_result_of_no_number_of_milliseconds_is_refused() -> None:
    document = to_document(Result("t", 1, 1))
    with pytest.raises(WireError, match="ms"):
        from_document({**document, "ms": float("nan")})


def test_frames_of_a_session_and_of_a_turn_stay_in_order() -> None:
    assert conversation_of(offer()) == "session s1"
    assert conversation_of(Result("t", 1, 1)) == conversation_of(Event("t", "typing")) == "turn t"
    assert conversation_of(Hello("b", "k")) == "hello"
    assert conversation_of(Watch()) == conversation_of(Watched("wire")) == "watch"


def test_bye_is_in_order_with_everything() -> None:
    assert conversation_of(Bye()) is None


def test_every_kind_of_frame_has_its_document() -> None:
    kinds = {kind.__name__.lower() for kind in get_args(Frame)}
    assert set(ADAPTERS) == kinds
