"""The magics, in IPython's own shell: what they do, and the one line when they cannot."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sessionbot_kit.errors import KitError, PluginError, UsageError
from sessionbot_kit.magic_lines import await_calls, take_cell
from tests.drafts import COUNTER, PIZZA
from tests.notebook import Notebook

GREET = """\
from sessionbot_kit import plugin

@plugin("!greet")
async def greet(message):
    return f"hello {message.content}"
"""


@pytest_asyncio.fixture
async def notebook() -> AsyncIterator[Notebook]:
    notebook = Notebook()
    await notebook.cell("from sessionbot_kit import Bot\nbot = await Bot().start()")
    yield notebook
    await notebook.close()


async def test_a_plugin_is_live_when_its_cell_is_done(notebook: Notebook) -> None:
    placed = await notebook.plugin("greet", GREET)
    assert repr(placed) == f"greet {placed.plugin.edition.version[:12]} is live in bot: !greet"
    assert await notebook.cell("%say ada !greet it's me") == ["hello it's me"]
    assert notebook.names["greet"] is placed.plugin


async def test_what_is_said_can_be_kept_and_used_in_a_loop(notebook: Notebook) -> None:
    await notebook.plugin("greet", GREET)
    await notebook.cell("answers = %say ada !greet you")
    assert notebook.names["answers"] == ["hello you"]
    await notebook.cell("for name in 'ab':\n    answers = %say ada !greet {name}")
    assert notebook.names["answers"] == ["hello b"]


async def test_a_new_version_takes_over_with_the_state_of_the_one_before(
    notebook: Notebook,
) -> None:
    await notebook.plugin("counter", COUNTER)
    await notebook.cell("%say ada !count")
    placed = await notebook.plugin("counter", COUNTER.replace("STEP = 1", "STEP = 10"))
    assert repr(placed).endswith(", its state goes on)")
    assert await notebook.cell("%say ada !count") == ["ada #11"]


async def test_the_same_cell_again_changes_nothing(notebook: Notebook) -> None:
    await notebook.plugin("counter", COUNTER)
    await notebook.cell("%say ada !count")
    assert repr(await notebook.plugin("counter", COUNTER)).endswith("(as before)")
    assert await notebook.cell("%say ada !count") == ["ada #2"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("async def answer", "async dof answer"),
        ("STEP = 1", "import nowhere_at_all"),
        ("STEP = 1", "STEP = await x"),
        ("STEP = 1", "class counter: pass\ndef counter(): pass"),
        ("self.n += STEP", "self.n += STEP + VOLUME"),
        ("    n = 0", '    n = 0\n    def start(self): raise OSError("no")'),
        ('self.n = state["n"]', 'self.n = state["m"]'),
        ("self.n = state", "self.n = STATE"),
    ],
)
async def test_a_cell_that_fails_leaves_the_old_version_answering(
    notebook: Notebook, old: str, new: str
) -> None:
    placed = await notebook.plugin("counter", COUNTER)
    await notebook.cell("%say ada !count")
    with pytest.raises(PluginError) as caught:
        await notebook.plugin("counter", COUNTER.replace(old, new))
    (line,) = caught.value._render_traceback_()  # type: ignore[attr-defined]  # what IPython shows
    assert line == f"PluginError: {caught.value}"
    assert await notebook.cell("%say ada !count") == ["ada #2"]
    assert notebook.names["counter"] is placed.plugin


async def test_without_a_bot_a_plugin_is_made_and_joins_later() -> None:
    notebook = Notebook()
    placed = await notebook.plugin("greet", GREET)
    assert repr(placed).endswith("is ready; no bot runs yet: bot = await Bot(greet).start()")
    await notebook.cell("from sessionbot_kit import Bot\nbot = await Bot(greet).start()")
    assert await notebook.cell("%say ada !greet you") == ["hello you"]
    await notebook.close()


async def test_a_replay_shows_what_a_new_version_says_to_the_old_talk(notebook: Notebook) -> None:
    await notebook.plugin("greet", GREET)
    await notebook.cell("%say ada !greet you")
    await notebook.plugin("greet", GREET.replace("hello", "good day"))
    replay = await notebook.cell("%replay greet")
    assert replay.differences == ("turn 1 (!greet you): said 'hello you'; now 'good day you'",)


async def test_a_saved_recording_is_replayed_by_name(notebook: Notebook, tmp_path: Path) -> None:
    await notebook.plugin("pizza", PIZZA)
    await notebook.cell("%say ada !pizza")
    notebook.names["bot"].recordings("pizza")[0].save(tmp_path / "pizza.jsonl")
    assert (await notebook.cell(f"%replay pizza {tmp_path}/pizza.jsonl")).same


async def test_sessions_are_listed_and_shown(notebook: Notebook) -> None:
    await notebook.plugin("greet", GREET)
    await notebook.cell("%say ada !greet you")
    await notebook.cell("%say bob !greet me")
    assert "bot:loopback/bob/bob" in repr(await notebook.cell("%sessions"))
    assert (await notebook.cell("%session 1")).key.user == "ada"
    newest = await notebook.cell("%session")
    assert newest.key.user == "bob"
    assert (await notebook.cell(f"%session {newest.id}")).id == newest.id


async def test_the_bridge_is_started_looked_at_and_stopped() -> None:
    notebook = Notebook()
    started = await notebook.cell("%bridge start --listen 0")
    assert started.facts["state"] == "running"
    assert isinstance(started.facts["port"], int)
    assert (await notebook.cell("%bridge")).facts == started.facts
    assert (await notebook.cell("%bridge stop")).facts["state"] == "stopped"
    with pytest.raises(UsageError, match=r"no bot runs here; start one: bot = await Bot"):
        await notebook.cell("%bridge status")
    await notebook.close()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("%say", "%say: the following arguments are required: user, text; see %say --help"),
        ("%say ada", "%say needs somebody and something, such as %say ada hello"),
        ("%say --bot other ada hello", "no bot other runs here; there is bot"),
        ("%session", "nobody has talked yet; say something: %say ada hello"),
        ("%session 99", "there is no session 99; %sessions lists them"),
        ("%session nobody", "there is no session nobody; %sessions lists them"),
        ("%sessions --nope", "%sessions: unrecognized arguments: --nope; see %sessions --help"),
        ("%bridge 'stop", "%bridge 'stop: No closing quotation; close what you opened"),
        ("%replay nobody", "there is no plugin nobody in bot; it has none"),
        ("%replay greet", "nobody has talked to greet yet; say something first: %say you hello"),
        (
            "%%plugin\nx = 1",
            "%%plugin: the following arguments are required: name; see %%plugin --help",
        ),
        (
            "%%basic order\nTALK 1",
            "%%basic is reserved for dialogs in BASIC, which this version does not have; "
            "write the dialog in Python below %%plugin",
        ),
    ],
)
async def test_a_magic_that_cannot_says_so_in_one_line(
    notebook: Notebook, line: str, says: str
) -> None:
    if "greet" in line:
        await notebook.plugin("greet", GREET)
    with pytest.raises(KitError) as caught:
        await notebook.cell(line)
    assert str(caught.value) == says
    assert caught.value._render_traceback_() == [  # type: ignore[attr-defined]  # what IPython shows
        f"{type(caught.value).__name__}: {says}"
    ]


@pytest.mark.parametrize(
    "magic", ["%say", "%sessions", "%session", "%bridge", "%replay", "%%plugin", "%%basic"]
)
async def test_each_magic_has_help(notebook: Notebook, magic: str) -> None:
    await notebook.cell(f"{magic} --help")
    assert notebook.printed.startswith(f"usage: {magic}")


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("%bridge st", ["start", "stop", "status"]),
        ("%bridge --", ["--bot", "--help", "--listen"]),
        ("%replay ", ["greet"]),
        ("%say ", ["ada", "you"]),
        ("%sessions --bot ", ["bot"]),
    ],
)
async def test_tab_offers_what_may_follow(notebook: Notebook, line: str, offers: list[str]) -> None:
    await notebook.plugin("greet", GREET)
    await notebook.cell("%say ada !greet you")
    assert [one for one in notebook.tab(line) if one in offers] == offers


@pytest.mark.parametrize(
    "body", ["...\nx = 1\n", ">>> a\n", "\tif 1:\r\n\t\tpass\r\n", "'\\''\"\"\"\n", "a\x0cb\u2028c"]
)
def test_the_text_below_the_magic_arrives_character_for_character(body: str) -> None:
    heard: list[Any] = []

    class Registry:
        def plugin(self, line: str, text: str) -> Any:
            heard.append((line, text))
            return None

    (call,) = take_cell(f"\n%%plugin  greet --bot b \r\n{body}".splitlines(keepends=True))

    class Shell:
        class magics_manager:
            registry = {"KitMagics": Registry()}  # noqa: RUF012

    eval(call.removeprefix("await "), {"get_ipython": Shell})
    assert heard == [("greet --bot b", body)]


@pytest.mark.parametrize(
    "cell", ["x = 1\n", "%%time\nx\n", "%%plugins x\ny\n", "%%plugin?\n", "\n"]
)
def test_other_cells_are_left_alone(cell: str) -> None:
    lines = cell.splitlines(keepends=True)
    assert take_cell(lines) == lines


def test_only_calls_of_ours_are_awaited_and_only_once() -> None:
    ours = "x = get_ipython().run_line_magic('say', 'ada hello')\n"
    assert await_calls([ours]) == [ours.replace("get_", "await get_")]
    assert await_calls(await_calls([ours])) == await_calls([ours])
    other = "get_ipython().run_line_magic('time', 'x')\n"
    assert await_calls([other]) == [other]


async def test_a_notebook_that_unloads_the_magics_has_none(notebook: Notebook) -> None:
    await notebook.cell("%unload_ext sessionbot_kit")
    before = len(notebook.shell.input_transformers_cleanup)
    assert "say" not in notebook.shell.magics_manager.magics["line"]
    await notebook.cell("%load_ext sessionbot_kit\n%reload_ext sessionbot_kit")
    assert len(notebook.shell.input_transformers_cleanup) == before + 1
