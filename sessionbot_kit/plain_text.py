"""Text as a person sees it: without characters that hide, reorder or smuggle something.

    visible("pay\\u202egnp.exe")         # 'paygnp.exe'
    one_line("a\\n\\n  b")                # 'a b'

Bidirectional overrides, zero-width and tag characters, fillers and controls can show a person one
text and a language model another. Joiners stay where scripts and emoji need them. The one rule to
remember: what goes to a model has been through `visible`.
"""

import re

_HIDING = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls; tab and line breaks stay
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # tags and supplementary variation selectors
    "]"
)
# A joiner or a selector is part of a letter or an emoji, and otherwise a place to hide bits in.
_ALONE = re.compile("(?<![^\x00-\x7f])[\u200c\u200d\ufe00-\ufe0f]+|[\u200c\u200d](?![^\x00-\x7f])")
_MANY = re.compile("([\u200c\u200d\ufe00-\ufe0f])[\u200c\u200d\ufe00-\ufe0f]+")

_IMAGE = re.compile(r"!\[([^\]\n]{0,300})\](?:\([^)]*\)?|\[[^\]]*\])")
_HTML_IMAGE = re.compile(r"<\s*(?:img|image|svg|iframe|object|embed)\b[^>]*>?", re.I)


def visible(text: str) -> str:
    """Take out what a person cannot see."""
    if text.isascii() and text.isprintable():
        return text
    text = _HIDING.sub("", text.replace("\u2028", "\n").replace("\u2029", "\n"))
    return _ALONE.sub("", _MANY.sub(r"\1", text))


def one_line(text: str) -> str:
    """The same words with single spaces."""
    return " ".join(text.split())


def without_images(text: str) -> str:
    """Images become their names: whoever loads one tells its address to somebody."""
    return _HTML_IMAGE.sub("[image]", _IMAGE.sub(lambda found: f"[image: {found[1]}]", text))


def without_marks(text: str) -> str:
    """No `<` that could open or close a mark; it looks nearly the same."""
    return text.replace("<", "\u2039")
