"""A cell is a plugin of exactly its text; what it may not be is refused in one line."""

import hashlib
import inspect
import sys
import traceback
from typing import Any

import pytest

from sessionbot_kit.cell import open_cell, read_cell
from sessionbot_kit.errors import PluginError
from tests.drafts import COUNTER, PIZZA

HEAD = "from sessionbot_kit import plugin\n\n\n"
GREET = HEAD + '@plugin("!greet")\nasync def greet(message):\n    return message.content\n'


def refusal(text: str, name: str = "greet", **known: Any) -> str:
    """The one line with which a cell is refused."""
    with pytest.raises(PluginError) as caught:
        open_cell(read_cell(name, text, known))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_version_is_the_hash_of_the_text() -> None:
    cell = read_cell("greet", GREET)
    assert cell.version == hashlib.sha256(GREET.encode()).hexdigest()
    assert cell.source == GREET.encode()


def test_only_a_missing_end_of_the_last_line_is_added() -> None:
    assert read_cell("greet", GREET.rstrip("\n")).source == GREET.encode()
    windows = GREET.replace("\n", "\r\n")
    assert read_cell("greet", windows).source == windows.encode()
    assert open_cell(read_cell("greet", windows)).meta.id == "greet"


def test_a_cell_sees_nothing_of_the_notebook_around_it() -> None:
    text = GREET.replace("return message.content", "return globals().get('GREETING', 'absent')")
    greet: Any = open_cell(read_cell("greet", text, {"GREETING": "hi"}))
    assert greet.answer.__globals__.get("GREETING") is None
    assert greet.answer.__module__.startswith("sessionbot_plugin_greet_")


def test_the_source_of_a_function_and_of_a_class_can_be_looked_at() -> None:
    greet: Any = open_cell(read_cell("greet", GREET))
    assert "return message.content" in inspect.getsource(greet.answer)
    counter = open_cell(read_cell("counter", COUNTER))
    assert inspect.getsource(type(counter)).startswith("class Counter(Plugin):")


def test_a_traceback_shows_the_line_and_the_version() -> None:
    cell = read_cell("greet", GREET.replace("return message.content", "1 / 0"))
    greet: Any = open_cell(cell)
    try:
        greet.answer(None).send(None)
    except ZeroDivisionError as error:
        shown = "".join(traceback.format_exception(error))
    assert f'File "cell greet@{cell.version[:12]}", line 6' in shown
    assert "1 / 0" in shown


def test_a_future_import_is_that_of_its_cell_alone() -> None:
    future = "from __future__ import annotations\n" + GREET.replace("(message)", "(message: Nope)")
    one: Any = open_cell(read_cell("greet", future))
    assert one.answer.__annotations__ == {"message": "Nope"}
    two: Any = open_cell(read_cell("greet", GREET.replace("(message)", "(message: int)")))
    assert two.answer.__annotations__ == {"message": int}


def test_decorators_of_its_own_and_names_of_any_language_are_fine() -> None:
    text = (
        "import functools\n" + HEAD + "def laut(f):\n    @functools.wraps(f)\n"
        "    async def größer(message):\n        return (await f(message)).upper()\n"
        "    return größer\n\n\n@plugin('!grüße')\n@laut\nasync def grüße(message):\n"
        "    return 'grüße'\n"
    )
    assert open_cell(read_cell("grüße", text)).meta.id == "grüße"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def f(:\n", "cell greet:1 invalid syntax; mend `def f(:`"),
        (
            HEAD + "await x()\n",
            "cell greet:4 'await' outside function; await inside the plugin's function, or in "
            "`async def start(self)` of a class",
        ),
        (
            HEAD + "y = await x()\n",
            "cell greet:4 'await' outside function; await inside the plugin's function, or in "
            "`async def start(self)` of a class",
        ),
        (
            "%time 1\n",
            "cell greet:1 invalid syntax; %time is of the notebook and no module has it; "
            "put it into another cell",
        ),
        (
            "!ls\n",
            "cell greet:1 invalid syntax; !ls is of the notebook and no module has it; "
            "put it into another cell",
        ),
        (
            "import requestsx\n" + GREET,
            "cell greet:1 cannot be loaded: ModuleNotFoundError: No module named 'requestsx'; "
            "install what it needs",
        ),
        (
            GREET + "\n\nclass greet:\n    pass\n",
            "cell greet:9 makes greet again, which line 5 made: one is a class and one a function; "
            "give one of them another name",
        ),
        (
            GREET.replace("import plugin", "import Plugin"),
            "cell greet:4 uses plugin; add to this cell: from sessionbot_kit import plugin",
        ),
        (
            GREET.replace("message.content", "json.dumps(1)"),
            "cell greet:6 uses json; add to this cell: import json",
        ),
        (
            GREET.replace("message.content", "nowhere"),
            "cell greet:6 uses nowhere, which nobody has made; look at the spelling, or add an "
            "import",
        ),
        (
            "class A:\n    word = 1\n    def f(self):\n        return word\n",
            "cell greet:4 uses word, which the class A has; write self.word or A.word",
        ),
        (" \n", "the cell greet is empty; write a plugin below %%plugin greet"),
        (
            "x = 1\n",
            "cell greet: it holds no plugin; write @plugin above a function, or create_plugin()",
        ),
        (
            GREET.replace("async def greet", "async def other"),
            "the cell greet makes the plugin other; begin it with %%plugin other",
        ),
        (
            GREET + '\n\n@plugin("!b")\nasync def b():\n    return "b"\n',
            "the cell greet makes greet and b; give each plugin a cell of its own",
        ),
        (
            GREET.replace("message", "msg"),
            'cell greet:4: greet asks for "msg"; it may ask for message, chat',
        ),
        ("raise SystemExit(3)\n", "cell greet:1 cannot be loaded: SystemExit: 3; mend it there"),
        ("'\ud800'\n", "the cell greet has half a character at position 1; type it again"),
        (
            "x = '\0'\n",
            "cell greet source code string cannot contain null bytes; mend it there",
        ),
    ],
)
def test_what_a_cell_may_not_be_is_said_in_one_line(text: str, says: str) -> None:
    assert refusal(text) == says


def test_a_name_of_another_cell_is_named_with_the_line_to_add() -> None:
    text = GREET.replace("message.content", "f'{GREETING} {json.dumps(1)}'")
    import json

    assert refusal(text, GREETING="hi", json=json) == (
        "cell greet:6 uses GREETING, json of another cell; "
        "add to this one: GREETING = 'hi'; import json"
    )


@pytest.mark.parametrize("name", ["2greet", "my greet", "", "-"])
def test_a_name_that_no_plugin_can_have_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match="does not name a plugin"):
        read_cell(name, GREET)


def test_a_refused_cell_leaves_nothing_behind() -> None:
    before = {name for name in sys.modules if name.startswith("sessionbot_plugin_")}
    refusal(GREET.replace("async def greet", "async def other"))
    refusal("import requestsx\n" + PIZZA, "pizza")
    after = {name for name in sys.modules if name.startswith("sessionbot_plugin_")}
    assert after == before
