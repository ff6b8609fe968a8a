"""Each version of a plugin's code stands in a namespace of its own, and shows its own lines."""

import hashlib
import inspect
import linecache
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.edition import Edition, Page
from sessionbot_kit.errors import PluginError

FILE = Path("plugins/tarot.py")


def edition(text: str | bytes) -> Edition:
    source = text.encode() if isinstance(text, str) else text
    return Edition("tarot", {"": Page(FILE, source)})


def ours() -> set[str]:
    return {name for name in sys.modules if name.startswith("sessionbot_plugin_")}


@given(st.binary(max_size=200))
def test_the_version_is_the_sha256_of_the_exact_bytes(source: bytes) -> None:
    assert edition(source).version == hashlib.sha256(source).hexdigest()


def test_the_version_of_several_files_knows_their_names_and_bytes() -> None:
    def version(**sources: bytes) -> str:
        pages = {name: Page(Path(f"{name}.py"), source) for name, source in sources.items()}
        return Edition("x", {"": Page(Path("__init__.py"), b""), **pages}).version

    assert version(a=b"1", b=b"2") == version(b=b"2", a=b"1")
    assert len({version(a=b"1", b=b"2"), version(a=b"12", b=b""), version(a=b"2", b=b"1")}) == 3


def test_two_versions_stand_side_by_side() -> None:
    old, new = edition("N = 1\ndef n(): return N\n"), edition("N = 2\ndef n(): return N\n")
    first, second = old.open(), new.open()
    assert (first.n(), second.n()) == (1, 2)
    new.close()
    assert (first.n(), second.n()) == (1, 2)
    old.close()


def test_the_same_bytes_opened_twice_share_nothing() -> None:
    one, two = edition("found = []\n"), edition("found = []\n")
    first, second = one.open(), two.open()
    assert first.found is not second.found
    one.close()
    assert sys.modules[second.__name__] is second
    two.close()


def test_an_edition_runs_once() -> None:
    it = edition("found = []\n")
    assert it.open() is it.open()
    it.close()


def test_a_closed_edition_leaves_nothing_in_the_tables_of_the_interpreter() -> None:
    before = ours(), set(linecache.cache), list(sys.meta_path)
    it = edition("x = 1\n")
    it.open()
    assert ours() != before[0]
    it.close()
    assert (ours(), set(linecache.cache), list(sys.meta_path)) == before


def test_a_traceback_shows_the_lines_that_ran_and_the_version() -> None:
    it = edition("def boom():\n    raise ValueError('old')  # the line that ran\n")
    with pytest.raises(ValueError, match="old") as caught:
        it.open().boom()
    linecache.checkcache()
    text = "".join(traceback.format_exception(caught.value))
    assert f'tarot.py@{it.version[:12]}", line 2, in boom' in text
    assert "# the line that ran" in text
    it.close()


def test_its_source_can_be_read_back() -> None:
    it = edition("def draw():\n    return 'The Fool'\n")
    assert inspect.getsource(it.open().draw) == "def draw():\n    return 'The Fool'\n"
    it.close()


def test_the_flags_of_the_house_do_not_leak_into_a_plugin() -> None:
    it = edition("def f(x: int): ...\n")
    assert it.open().f.__annotations__ == {"x": int}
    it.close()


def test_a_dataclass_and_its_hints_find_their_module() -> None:
    it = edition(
        "from __future__ import annotations\nimport dataclasses, typing\n"
        "@dataclasses.dataclass\nclass Card:\n    next: Card | None = None\n"
        "hints = typing.get_type_hints(Card)\n"
    )
    assert set(it.open().hints) == {"next"}
    it.close()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"x = 1\nx = = 2\n", "tarot.py:2 cannot be loaded: SyntaxError: invalid syntax; mend it"),
        (
            b"x = 1\n\nraise ValueError('two\\nlines')\n",
            "tarot.py:3 .* ValueError: two lines; mend",
        ),
        (b"import no_such_thing\n", "tarot.py:1 .* No module named 'no_such_thing'; install what"),
        (b"def f():\n    1/0\nf()\n", "tarot.py:2 cannot be loaded: ZeroDivisionError"),
        (b"import sys\nsys.exit(3)\n", "tarot.py:2 cannot be loaded: SystemExit: 3"),
        (b"%time\n", "tarot.py:1 .* a module has no %magic, !command or await outside a function"),
        (b"x = '\xff'\n", "tarot.py.* cannot be loaded: SyntaxError"),
        (b"x = 1\0\n", "tarot.py.* cannot be loaded: .*null bytes"),
        (b"from sessionbot_kit import plugin\nplugin('a b')\n", "tarot.py:2: 'a b' is not a pref"),
    ],
    ids=["syntax", "raises", "import", "deep", "exit", "magic", "bytes", "nul", "declaration"],
)
def test_what_cannot_be_loaded_is_one_sentence_with_file_and_line(
    source: bytes, sentence: str
) -> None:
    before = ours(), set(linecache.cache), list(sys.meta_path)
    with pytest.raises(PluginError, match=sentence) as refused:
        edition(source).open()
    assert "\n" not in str(refused.value)
    assert (ours(), list(sys.meta_path)) == (before[0], before[2])
    assert not [name for name in linecache.cache if "tarot.py@" in name]


def test_an_interrupt_is_nobodys_fault() -> None:
    with pytest.raises(KeyboardInterrupt):
        edition("raise KeyboardInterrupt\n").open()


def test_the_last_plugin_that_ends_closes_the_edition() -> None:
    class Thing: ...

    it, one, two = edition("x = 1\n"), Thing(), Thing()
    it.open()
    it.keep(one)
    it.keep(two)
    it.release(one)
    assert it.open().__name__ in sys.modules
    it.release(two)
    assert ours() == set()
