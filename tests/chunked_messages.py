"""Messages for the chunker's tests, and hypothesis strategies for more of them."""

from typing import Any

from hypothesis import strategies as st

from sessionbot_kit.chunker import ANY_DOCUMENT, Chunker, Limits, Reassembler

Message = dict[str, Any]

HELLO: Message = {"to": "a", "from": "b", "text": "hi", "attachments": []}


def with_files(*contents: Any, text: str = "hi") -> Message:
    files = [
        {"name": f"f{number}.bin", "type": "application/octet-stream", "content": content}
        for number, content in enumerate(contents)
    ]
    return {"to": "a", "from": "b", "text": text, "attachments": files}


def frames_of(message: Message, size: int, codec: Any = "text", name: str = "m1") -> list[bytes]:
    chunker = Chunker(size, codec=codec, shape=ANY_DOCUMENT, limits=ROOMY)
    return list(chunker.split(message, name))


def reader(**options: Any) -> Reassembler:
    return Reassembler(options.pop("limits", ROOMY), shape=ANY_DOCUMENT, raw=True, **options)


# For messages cut into crumbs, which nobody sends.
ROOMY = Limits(fragments=1_000_000, pending=10)

CODECS = st.sampled_from(["text", "binary"])
CONTENTS = st.binary(max_size=40)

# JSON keeps numbers apart as its readers do: integers of 64 bits, and floats that are finite.
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    _LEAVES,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=8,
)


@st.composite
def documents(draw: st.DrawFn) -> Message:
    """Any document, with or without attachments of any shape."""
    keys = TEXTS.filter(lambda key: key != "attachments")
    document = draw(st.dictionaries(keys, VALUES, max_size=4))
    if draw(st.booleans()):
        others = st.dictionaries(TEXTS.filter(lambda key: key != "content"), VALUES, max_size=2)
        files: list[Message] = [*draw(st.lists(others, max_size=3))]
        for file in files:
            if draw(st.booleans()):
                file["content"] = draw(CONTENTS)
        document["attachments"] = files
    return document
