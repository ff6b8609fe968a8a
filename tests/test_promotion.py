"""A cell becomes a module that provably does the same; what is somebody's own is left alone."""

import asyncio
import os
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sessionbot_kit import Bot, promote
from sessionbot_kit.errors import KitError, PluginError, UsageError
from sessionbot_kit.library import Library
from sessionbot_kit.live_cell import place
from sessionbot_kit.plugins import echo
from sessionbot_kit.recording import Recording
from tests.drafts import COUNTER, PIZZA

ROOT = Path(__file__).parents[1]
DICE = """\
import random
from sessionbot_kit import plugin

@plugin("!roll")
async def dice(chat):
    return str(random.SystemRandom().randrange(10**12))
"""


class Project:
    """A project with a bot at work in it."""

    def __init__(self, root: Path, bot: Bot) -> None:
        self.root = root
        self.bot = bot

    async def cell(self, name: str, source: str, *said: str, user: str = "ada") -> None:
        await place(self.bot, name, source)
        for text in said:
            await self.bot.hear(text, user=user)

    def package(self) -> None:
        (self.root / "pyproject.toml").write_text('[project]\nname = "my-bot"\nversion = "1"\n')
        (self.root / "src" / "my_bot").mkdir(parents=True)
        (self.root / "src" / "my_bot" / "__init__.py").touch()

    def files(self) -> list[str]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    async def pytest(self) -> str:
        """Run the tests of the project."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout


@pytest_asyncio.fixture
async def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Project]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.x]\n")
    async with Bot() as bot:
        yield Project(tmp_path, bot)


async def test_the_module_is_the_cell_byte_for_byte_and_its_test_passes(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza", "green", "large")
    promoted = await promote("pizza", bot=project.bot)
    assert (project.root / "plugins" / "pizza.py").read_bytes() == PIZZA.encode()
    assert project.files() == [
        "plugins/pizza.py",
        "pyproject.toml",
        "tests/recordings/pizza.jsonl",
        "tests/test_pizza.py",
    ]
    assert "1 passed" in await project.pytest()
    assert "3 turns in a fresh interpreter, all the same" in repr(promoted)


async def test_the_test_fails_when_the_module_says_something_else(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza", "large")
    await promote("pizza", bot=project.bot)
    module = project.root / "plugins" / "pizza.py"
    module.write_text(PIZZA.replace("is in oven", "waits in oven"))
    said = await project.pytest()
    assert "turn 2 (large): said 'Large pizza 1 is in oven 1.'" in said
    assert "1 failed" in said


async def test_nobody_is_named_in_the_recording(project: Project) -> None:
    await project.cell("counter", COUNTER, "!count", "!count", user="Ada Lovelace")
    await promote("counter", bot=project.bot)
    text = (project.root / "tests/recordings/counter.jsonl").read_text()
    assert "Ada" not in text
    assert "person-1 #2" in text


async def test_state_that_was_handed_on_is_proven_too(project: Project) -> None:
    await project.cell("counter", COUNTER, "!count", "!count")
    await project.cell("counter", COUNTER.replace("STEP = 1", "STEP = 10"), "!count")
    await promote("counter", bot=project.bot)
    recording = Recording.load(project.root / "tests/recordings/counter.jsonl")
    assert recording.takes[0].result.replies[0].content == "person-1 #12"
    assert "1 passed" in await project.pytest()


async def test_promoted_twice_is_a_message_and_nothing_else(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza")
    await promote("pizza", bot=project.bot)
    before = {name: (project.root / name).stat().st_mtime_ns for name in project.files()}
    again = await promote("pizza", bot=project.bot)
    assert "pizza was promoted already, and nothing has changed" in repr(again)
    assert {name: (project.root / name).stat().st_mtime_ns for name in project.files()} == before


async def test_a_newer_version_takes_the_place_of_what_was_promoted(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza", "large")
    await promote("pizza", bot=project.bot)
    newer = PIZZA.replace("is in oven", "waits in oven")
    await project.cell("pizza", newer, "!pizza", "small")
    await promote("pizza", bot=project.bot)
    assert (project.root / "plugins/pizza.py").read_text() == newer
    assert "1 passed" in await project.pytest()


async def test_what_was_edited_by_hand_is_not_written_over(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza")
    await promote("pizza", bot=project.bot)
    module = project.root / "plugins/pizza.py"
    module.write_text("# mine\n" + PIZZA)
    await project.cell("pizza", PIZZA + "# more\n", "!pizza")
    with pytest.raises(UsageError, match=r"plugins/pizza.py was edited by hand since it was prom"):
        await promote("pizza", bot=project.bot)
    assert module.read_text() == "# mine\n" + PIZZA
    await promote("pizza", bot=project.bot, force=True)
    assert module.read_text() == PIZZA + "# more\n"


async def test_a_file_that_no_cell_made_is_left_alone(project: Project) -> None:
    (project.root / "plugins").mkdir()
    (project.root / "plugins/pizza.py").write_text("# theirs\n")
    await project.cell("pizza", PIZZA, "!pizza")
    with pytest.raises(UsageError, match=r"plugins/pizza\.py is there, and no cell made it"):
        await promote("pizza", bot=project.bot)


async def test_nothing_is_proven_without_a_word(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza")
    await project.cell("pizza", PIZZA + "# newer\n")
    with pytest.raises(UsageError, match=r"nobody has talked to this version .*: %say you !pizza"):
        await promote("pizza", bot=project.bot)


async def test_a_module_that_would_differ_is_not_written(project: Project) -> None:
    await project.cell("dice", DICE, "!roll")
    with pytest.raises(PluginError, match=r"dice does not do as a file .* turn 1 .*chat\.random"):
        await promote("dice", bot=project.bot)
    assert project.files() == ["pyproject.toml"]


async def test_a_module_that_needs_a_file_beside_the_notebook_is_not_written(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "beside.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(project.root)
    await project.cell("pizza", "import beside\n" + PIZZA, "!pizza")
    with pytest.raises(PluginError, match=r"^plugins/pizza.py:1 .*No module named 'beside'"):
        await promote("pizza", bot=project.bot)
    assert project.files() == ["beside.py", "pyproject.toml"]


async def test_in_a_package_the_entry_point_is_written(project: Project) -> None:
    project.package()
    await project.cell("counter", COUNTER, "!count")
    promoted = await promote("counter", "src/my_bot", bot=project.bot)
    document = tomllib.loads((project.root / "pyproject.toml").read_text())
    assert document["project"]["entry-points"]["sessionbot_kit.plugins"] == {
        "counter": "my_bot.counter:Counter"
    }
    assert promoted.entry_point == "counter = my_bot.counter:Counter"
    assert "1 passed" in await project.pytest()


async def test_what_stands_in_the_package_may_be_used(project: Project) -> None:
    project.package()
    (project.root / "src/my_bot/ovens.py").write_text("COUNT = 3\n")
    sys.path.insert(0, str(project.root / "src"))
    try:
        await project.cell("pizza", "from my_bot.ovens import COUNT\n" + PIZZA, "!pizza")
        promoted = await promote("pizza", "src/my_bot/pizza.py", bot=project.bot)
    finally:
        sys.path.remove(str(project.root / "src"))
        sys.modules.pop("my_bot.ovens"), sys.modules.pop("my_bot")
    assert promoted.entry_point == "pizza = my_bot.pizza:pizza"


@pytest.mark.parametrize("to", ["/", "../elsewhere", "plugins/../../x.py"])
async def test_nothing_outside_the_project_is_written(project: Project, to: str) -> None:
    await project.cell("pizza", PIZZA, "!pizza")
    with pytest.raises(UsageError, match=r"is outside the project .*; give a path inside it"):
        await promote("pizza", to, bot=project.bot)


async def test_a_link_that_leads_outside_is_outside(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (project.root / "plugins").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    await project.cell("pizza", PIZZA, "!pizza")
    with pytest.raises(UsageError, match="outside the project"):
        await promote("pizza", bot=project.bot)


async def test_a_file_that_is_read_only_stays_and_nothing_else_is_written(
    project: Project,
) -> None:
    await project.cell("pizza", PIZZA, "!pizza")
    await promote("pizza", bot=project.bot)
    (project.root / "plugins/pizza.py").chmod(0o444)
    before = (project.root / "tests/recordings/pizza.jsonl").read_bytes()
    await project.cell("pizza", PIZZA + "# more\n", "!pizza")
    with pytest.raises(UsageError, match=r"pizza.py is read-only; make it writable"):
        await promote("pizza", bot=project.bot)
    assert (project.root / "tests/recordings/pizza.jsonl").read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_named(project: Project) -> None:
    (project.root / "plugins").write_text("a file\n")
    await project.cell("pizza", PIZZA, "!pizza")
    with pytest.raises(UsageError, match=r"plugins.* cannot be written: .*; choose another place"):
        await promote("pizza", bot=project.bot)
    assert project.files() == ["plugins", "pyproject.toml"]


async def test_what_real_people_wrote_stays_out_unless_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Bot(record="all") as bot:
        await place(bot, "pizza", PIZZA)
        await bot.hear("!pizza")
        monkeypatch.setattr("sessionbot_kit.recording.OWN_CHANNELS", frozenset())
        with pytest.raises(UsageError, match="what real people wrote on loopback; say something"):
            await promote("pizza", bot=bot)
        await promote("pizza", bot=bot, include_real=True)


async def test_only_what_is_a_cell_is_promoted(project: Project) -> None:
    with pytest.raises(UsageError, match="there is no plugin nobody in bot; it has none"):
        await promote("nobody", bot=project.bot)
    await project.bot.add(echo)
    with pytest.raises(KitError, match="echo does not come from one cell or one file"):
        await promote(echo, bot=project.bot)


async def test_a_bot_finds_what_was_promoted_in_its_folder(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza")
    await promote("pizza", bot=project.bot)
    (found,) = Library(["plugins"], entries=False).plugins()
    async with Bot(found) as bot:
        assert await bot.hear("!pizza") == ["Small or large?"]


async def test_a_test_that_is_there_stays_as_its_owner_wrote_it(project: Project) -> None:
    (project.root / "tests").mkdir()
    (project.root / "tests/test_pizza.py").write_text("# mine\n")
    await project.cell("pizza", PIZZA, "!pizza")
    await promote("pizza", bot=project.bot)
    assert (project.root / "tests/test_pizza.py").read_text() == "# mine\n"


async def test_in_another_folder_it_says_how_bots_find_it(project: Project) -> None:
    await project.cell("pizza", PIZZA, "!pizza")
    promoted = await promote("pizza", "mine", bot=project.bot)
    assert promoted.note == "For bots to find it, add mine to plugins.paths in sessionbot.yml."
