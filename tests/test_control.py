"""What two ends say about their link: written and read back, and refused when it does not fit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.control import (
    MAX_OPEN,
    Ack,
    Control,
    Greeting,
    Leave,
    Refusal,
    Report,
    Terms,
    from_document,
    from_json,
    to_document,
    to_json,
)
from sessionbot_kit.errors import WireError

seqs = st.integers(1, 2**53 - 1)
counts = st.integers(0, 2**53 - 1)
pairs = st.lists(st.tuples(seqs, seqs), max_size=5).map(tuple)
names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=128)
reports = st.builds(
    Report,
    floor=counts,
    done=pairs,
    whole=st.lists(seqs, max_size=5).map(tuple),
    partial=st.lists(st.tuples(seqs, counts), max_size=5).map(tuple),
)
controls = st.one_of(
    st.builds(
        Greeting,
        session=names,
        epoch=st.one_of(st.just(""), names),
        terms=st.builds(Terms),
        report=reports,
        recovered=st.booleans(),
    ),
    st.builds(Ack, floor=counts, done=pairs, credit=counts),
    st.builds(Refusal, seq=counts, code=names),
    st.builds(Leave, reason=st.text(max_size=256)),
)


@given(controls)
def test_a_control_value_is_the_same_after_the_wire(control: Control) -> None:
    assert from_json(to_json(control)) == control


@given(controls)
def test_a_control_value_is_the_same_as_a_document_of_plain_json(control: Control) -> None:
    document = to_document(control)
    assert from_document(json.loads(json.dumps(document))) == control
    assert document["type"] == control.type


HELLO = (
    '{"type":"hello","session":"0123456789abcdef","epoch":"e",'
    '"terms":{"window":%s,"message_bytes":%s,"unfinished":%s,"unfinished_bytes":%s},"report":{}}'
)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"type":"welcome"}',
        '{"type":"ack"}',
        '{"type":"ack","floor":-1}',
        '{"type":"ack","floor":true}',
        '{"type":"ack","floor":1.0}',
        '{"type":"ack","floor":"1"}',
        '{"type":"ack","floor":9007199254740992}',
        '{"type":"ack","floor":1,"credit":-1}',
        '{"type":"ack","floor":1,"more":1}',
        '{"type":"ack","floor":1,"done":[[0,1]]}',
        '{"type":"ack","floor":1,"done":[[1,2,3]]}',
        '{"type":"error","seq":1,"code":""}',
        '{"type":"error","seq":1,"code":"a\\nb"}',
        '{"type":"error","seq":1,"code":"%s"}' % ("x" * 129),
        '{"type":"bye","reason":"%s"}' % ("x" * 257),
        '{"type":"bye","reason":null}',
        HELLO.replace("0123456789abcdef", "0123456789abcde") % (262144, 65536, 1, 65536),
        HELLO.replace("0123456789abcdef", "0123456789abcde ") % (262144, 65536, 1, 65536),
        HELLO % (262143, 65536, 1, 65536),
        HELLO % (262144, 65535, 1, 65536),
        HELLO % (262144, 65536, 0, 65536),
        HELLO % (262144, 65536, 1, 65535),
        "[" * 100_000,
    ],
)
def test_what_does_not_fit_is_refused_as_a_fault_of_the_peer(document: str) -> None:
    with pytest.raises(WireError, match="a control message cannot be read"):
        from_json(document)


def test_the_smallest_terms_are_accepted() -> None:
    greeting = from_json(HELLO % (262144, 65536, 1, 65536))
    assert isinstance(greeting, Greeting)
    assert greeting.terms == Terms(262_144, 65_536, 1, 65_536)


def test_more_gaps_than_an_honest_peer_leaves_are_refused() -> None:
    gaps = tuple((2 * n, 2 * n) for n in range(1, MAX_OPEN + 3))
    assert from_json(to_json(Ack(1, gaps[:-1])))
    with pytest.raises(WireError, match="done"):
        from_json(to_json(Ack(1, gaps)))


def test_a_refusal_names_the_field_that_is_wrong_and_not_what_was_in_it() -> None:
    with pytest.raises(WireError, match=r"ack\.floor: Input should be a valid integer") as caught:
        from_json('{"type":"ack","floor":"my secret"}')
    assert "my secret" not in str(caught.value)
