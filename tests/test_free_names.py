"""What a source uses and does not own is found without running it, and so is the line to add."""

import collections
import datetime
import json
import os.path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit import Bot, plugin
from sessionbot_kit.free_names import class_of, free_names, line_for


@pytest.mark.parametrize(
    ("source", "free"),
    [
        ("def f(): return json.dumps(GREETING)", ["GREETING", "json"]),
        ("import json\ndef f(): return json", []),
        ("try:\n  import a\nexcept ImportError:\n  a = None\na", []),
        ("def f():\n  global g\n  g = 1\ndef h(): return g", []),
        ("[y for y in z if (w := y)]\nw", ["z"]),
        ("@dec\ndef f(a=d, *, b: A = 1) -> R: ...", ["A", "R", "d", "dec"]),
        ("class C(Base, metaclass=Meta): pass", ["Base", "Meta"]),
        ("class A:\n  x = 1\n  y = x\n  def f(self): return x", ["x"]),
        ("class A:\n  def f(self): return super().f(), __class__", []),
        ("def f(n): return lambda: n + m", ["m"]),
        ("from anything import *\nname", []),
        ("print(__name__, __file__, len, ValueError)", []),
        ("for i in (1,): pass\nwith open('x') as h: i, h", []),
        ("match 1:\n  case int(n): n\n  case {'a': [*r]}: r", []),
        ("größe = 1\ndef f(): return größe + höhe", ["höhe"]),
        ("x = 1\ndel x\ndef f():\n  nonlocal_ = x", []),
        ("eval('GREETING')", []),
    ],
)
def test_free_names_are_found_in_every_scope(source: str, free: list[str]) -> None:
    assert sorted(free_names(source)) == free


def test_a_free_name_has_the_line_of_its_first_use() -> None:
    assert free_names("a = 1\n\n\ndef f():\n    return a, b, c\nc") == {"b": 5, "c": 5}


@given(st.text(max_size=40))
def test_any_text_is_a_syntax_error_or_has_names_that_stand_in_it(text: str) -> None:
    try:
        found = free_names(text)
    except (SyntaxError, ValueError):
        return
    # Python reads identifiers in their normal form.
    import unicodedata

    assert all(name in unicodedata.normalize("NFKC", text) for name in found)


def test_a_name_of_a_class_body_is_known_by_its_class() -> None:
    source = "class A:\n  x = 1\n  def f(self): return x, y\n  def g(self): return f"
    assert (class_of(source, "x"), class_of(source, "f"), class_of(source, "y")) == ("A", "A", None)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("json", json, "import json"),
        ("J", json, "import json as J"),
        ("abc", collections.abc, "from collections import abc"),
        ("Counter", collections.Counter, "from collections import Counter"),
        ("C", collections.Counter, "from collections import Counter as C"),
        ("join", os.path.join, "from posixpath import join"),
        ("Any", Any, "from typing import Any"),
        ("plugin", plugin, "from sessionbot_kit import plugin"),
        ("Bot", Bot, "from sessionbot_kit import Bot"),
        ("GREETING", "hi", "GREETING = 'hi'"),
        ("sizes", ["small", 1.5, None], "sizes = ['small', 1.5, None]"),
        ("today", datetime.date(2026, 1, 1), "today = ..."),
        ("long", "x" * 100, "long = ..."),
        ("API_TOKEN", "sk-1", "API_TOKEN = ..."),
        ("shout", lambda text: text.upper(), "the definition of shout"),
    ],
)
def test_the_line_to_add_makes_the_name_mean_the_same(name: str, value: Any, line: str) -> None:
    assert line_for(name, value) == line
