"""An installable package around one plugin: `sessionbot new plugin greet`.

    package = PluginPackage("greet")
    package.write(Path("sessionbot-greet"), promoted=Path("plugins/greet.py"))

What was promoted comes in byte for byte, together with its test and its recording; without it there
is a small plugin to begin with. Once the package is installed, every bot finds the plugin by its
entry point. The one rule to remember: a folder that is there already is left alone.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from sessionbot_kit.errors import UsageError
from sessionbot_kit.extension import PluginMeta
from sessionbot_kit.sources import open_edition, plugin_name, read_edition

PYPROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{package}"
version = "0.1.0"
description = "{summary}"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["sessionbot-kit"]

[project.optional-dependencies]
test = ["sessionbot-kit[test]"]

[project.entry-points."sessionbot_kit.plugins"]
{id} = "{module}.{name}:{attribute}"

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""
README = """\
# {package}

{summary}

```sh
pip install -e ".[test]"     # bots find the plugin {id} from now on
sessionbot plugins           # it is in this list
pytest                       # it still says what it said
```

The plugin is `src/{module}/{name}.py`; edit it there.
"""
DRAFT = '''\
"""Say hello."""

from sessionbot_kit import IncomingMessage, plugin


@plugin("!{id}")
async def {name}(message: IncomingMessage) -> str:
    """Say hello."""
    return f"Hello, {{message.content or message.sender_name}}!"
'''
TALK_TEST = '''\
"""{id} answers."""

from sessionbot_kit.testing import talk as talk

from {module}.{name} import {name}


async def test_{name}_says_hello(talk):
    user = talk({name})
    assert await user.says("!{id} Ada") == ["Hello, Ada!"]
'''
PLAY_TEST = '''\
"""{id} says what it said in the conversation from which it was promoted."""

from pathlib import Path

from sessionbot_kit.testing import plays


def test_{name}_says_what_it_said() -> None:
    recording = Path(__file__).parent / "recordings" / "{name}.jsonl"
    plays("{module}.{name}:{attribute}", recording)
'''
PYTEST = '\n[tool.pytest.ini_options]\nasyncio_mode = "auto"\n'


@dataclass(frozen=True, slots=True)
class PluginPackage:
    """A package for one plugin."""

    id: str

    def __post_init__(self) -> None:
        PluginMeta(id=self.id)  # refuses what no plugin can be called

    @property
    def name(self) -> str:
        return re.sub(r"\W", "_", self.id)

    @property
    def module(self) -> str:
        return f"sessionbot_{self.name.lower()}"

    @property
    def package(self) -> str:
        return self.module.replace("_", "-")

    def write(self, folder: Path, promoted: Path | None = None) -> list[Path]:
        """Write the package; the files that it has."""
        if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
            raise UsageError(f"{folder} is there already; choose another with --to, or remove it")
        files = self._begun() if promoted is None else self._from(promoted)
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return [folder / name for name in files]

    def _begun(self) -> dict[str, bytes]:
        summary, attribute = "Say hello.", self.name
        files = self._frame(summary, attribute)
        files["pyproject.toml"] += PYTEST.encode()
        files[self._source] = self._filled(DRAFT, summary, attribute)
        files[f"tests/test_{self.name}.py"] = self._filled(TALK_TEST, summary, attribute)
        return files

    def _from(self, promoted: Path) -> dict[str, bytes]:
        if not promoted.is_file():
            raise UsageError(f"there is no {promoted}; promote a cell first, or leave out --from")
        edition = read_edition(promoted)
        (plugin, *_) = plugins = open_edition(edition)
        attribute = plugin_name(plugin, edition.open())
        summary = plugin.summary or f"The plugin {self.id}."
        for one in plugins:
            edition.release(one)
        if plugin.meta.id != self.id:
            raise UsageError(
                f"{promoted} holds the plugin {plugin.meta.id}; write "
                f"sessionbot new plugin {plugin.meta.id}"
            )
        files = self._frame(summary, attribute)
        files[self._source] = edition.pages[""].source
        recording = self._recording_of(promoted)
        if recording is not None:
            files[f"tests/recordings/{self.name}.jsonl"] = recording.read_bytes()
            files[f"tests/test_{self.name}.py"] = self._filled(PLAY_TEST, summary, attribute)
        return files

    def _recording_of(self, promoted: Path) -> Path | None:
        """Of the project that the module was promoted in, which is some folder above it."""
        name = f"tests/recordings/{promoted.stem}.jsonl"
        above = (folder / name for folder in promoted.absolute().parents)
        return next((path for path in above if path.is_file()), None)

    @property
    def _source(self) -> str:
        return f"src/{self.module}/{self.name}.py"

    def _frame(self, summary: str, attribute: str) -> dict[str, bytes]:
        return {
            "pyproject.toml": self._filled(PYPROJECT, summary, attribute),
            "README.md": self._filled(README, summary, attribute),
            f"src/{self.module}/__init__.py": f'"""The plugin {self.id}."""\n'.encode(),
        }

    def _filled(self, template: str, summary: str, attribute: str) -> bytes:
        return template.format(
            id=self.id,
            name=self.name,
            module=self.module,
            package=self.package,
            attribute=attribute,
            summary=summary.replace("\\", "").replace('"', "'"),
        ).encode()
