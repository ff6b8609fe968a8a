"""Everything that can be set, in one frozen class, read once at the door.

    settings = Settings.load()                  # argument > environment > sessionbot.yml > default
    settings = Settings.load("bot.yml", turn_timeout_s=5)
    settings.courier.tries                      # SESSIONBOT_COURIER__TRIES=3 in the environment
    settings.plugins.section("telegram")        # the lines under `plugins: telegram:`

`Settings()` looks at the environment too, and at no file. What is misspelled is an error that
names the nearest known setting. The one rule to remember: **doors read settings, rooms are given
values**; nothing else looks at the environment.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, Field, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from sessionbot_kit.config_file import ConfigFile, parse
from sessionbot_kit.errors import SettingsError
from sessionbot_kit.layers import Layers, unknown
from sessionbot_kit.models import mend_text
from sessionbot_kit.secrecy import mask, secrets_in
from sessionbot_kit.sections import (
    Count,
    Courier,
    Folder,
    GatewayPort,
    Log,
    Names,
    Plugins,
    Queues,
    Seconds,
    Section,
    Sessions,
    Web,
)

FILE_NAMES = ("sessionbot.yml", "sessionbot.yaml", "cobot.yml")
PREFIX = "SESSIONBOT_"

Place = tuple[str, ...]


class Row(NamedTuple):
    """One line of `sessionbot config show`; secrets are masked."""

    name: str
    value: str
    source: str
    description: str


class Settings(BaseSettings):
    """Arguments over `SESSIONBOT_*` over the file over defaults; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        enable_decoding=False,
        frozen=True,
    )

    home: Folder = Field(Path("data"), description="Folder for what the bot keeps")
    store_url: str = Field(
        default_factory=lambda given: f"sqlite:///{given['home'] / 'sessionbot.db'}",
        description="Where conversations are kept",
    )
    turn_timeout_s: Seconds = Field(30.0, description="Time that a plugin has for one answer")
    history_window: Annotated[int, Field(ge=0)] = Field(
        20, description="Messages of the conversation that a plugin sees"
    )
    drain_s: Seconds = Field(5.0, description="Time that running turns have when the bot stops")
    max_message_bytes: Count = Field(
        64 * 1024 * 1024, description="Size of the largest message, its files included"
    )
    pairing: Names = Field(
        (), description="Channels on which strangers must be approved first; * is all"
    )
    courier: Courier = Courier()
    queues: Queues = Queues()
    log: Log = Log()
    gateway: GatewayPort = GatewayPort()
    sessions: Sessions = Sessions()
    web: Web = Web()
    plugins: Plugins = Plugins()

    _layers: Layers = PrivateAttr()

    def __init__(self, file: ConfigFile | None = None, /, **arguments: Any) -> None:
        file = file or ConfigFile()
        names = frozenset(".".join(path) for path, _ in _fields(type(self)))
        environment = _environment(type(self), names, file.variables)
        layers = Layers(names, arguments, environment, file)
        try:
            super().__init__(**layers.merged())
        except ValidationError as error:
            # Not `from error`: its traceback would show what was given, secrets included.
            faults = [f for f in error.errors() if f["type"] != "default_factory_not_called"]
            raise SettingsError("; ".join(map(layers.sentence, faults))) from None
        self._layers = layers

    @classmethod
    def load(cls, path: str | Path | None = None, **arguments: Any) -> Self:
        """Read `path`, or else the sessionbot.yml (or cobot.yml) that is here or in the home."""
        found = Path(path) if path is not None else _nearest_file(arguments.get("home"))
        return cls(_read(found) if found else None, **arguments)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # the others lie under it already, laid there by `__init__`

    def rows(self) -> list[Row]:
        """Every setting with who gave it, to be shown; secrets are masked."""
        rows = []
        for path, field in _fields(type(self)):
            value: Any = self
            for name in path:
                value = getattr(value, name)
            rows.append(self._row(path, value, field.description or ""))
        for plugin_id, section in self.plugins.__pydantic_extra__.items():
            for path, value in _leaves(section, ("plugins", plugin_id)):
                rows.append(self._row(path, value, f"Setting of the plugin {plugin_id}"))
        return rows

    def _row(self, path: Place, value: Any, description: str) -> Row:
        return Row(".".join(path), _shown(value), self._layers.source(path), description)

    def secrets(self) -> set[str]:
        """Every secret in the clear, for `Redactor`; show them to nobody."""
        return set(secrets_in([self.store_url, self.plugins.__pydantic_extra__]))

    @property
    def file_name(self) -> str:
        """The file that was read; empty when there was none."""
        return self._layers.file.name

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, mask(value)


def _fields(model: type[BaseModel], path: Place = ()) -> Iterator[tuple[Place, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _fields(field.annotation, (*path, name))
        else:
            yield (*path, name), field


def _leaves(section: Mapping[str, Any], path: Place) -> Iterator[tuple[Place, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, name))
        else:
            yield (*path, name), value


def _shown(value: Any) -> str:
    masked = mask(value)
    match masked:
        case list() | tuple() if all(isinstance(item, str) for item in masked):
            return ", ".join(masked)
        case bool() | None | dict() | list():
            return json.dumps(masked, default=str)
    return mend_text(str(masked))


def _environment(
    settings: type[BaseSettings], names: frozenset[str], excused: set[str]
) -> dict[str, Any]:
    values = EnvSettingsSource(settings)()
    if root := os.environ.get("ROOT_DIR"):
        values.setdefault("home", root)
    for variable in sorted(os.environ.keys() - excused):
        name = variable.lower().removeprefix(PREFIX.lower()).replace("__", ".")
        ours = variable.upper().startswith(PREFIX) and not name.startswith("plugins.")
        if ours and name not in names and not any(known.startswith(f"{name}.") for known in names):
            raise SettingsError(f"{variable}: {unknown(name, names)}")
    return values


def _nearest_file(home: Any) -> Path | None:
    environ = os.environ
    home = home or environ.get(f"{PREFIX}HOME") or environ.get("ROOT_DIR") or "data"
    folders = [Path(), Path(home).expanduser()] if isinstance(home, str | Path) else [Path()]
    for folder in folders:
        found = []
        for path in (folder / name for name in FILE_NAMES):
            try:
                found += [path] if path.is_file() else []
            except OSError as error:
                raise _unreadable(path, error) from None
        if len(two := [path for path in found if path.stem == "sessionbot"]) > 1:
            raise SettingsError(
                f"there are {two[0]} and {two[1]}, and only one is read; keep one of them"
            )
        if found:
            return found[0]
    return None


def _read(path: Path) -> ConfigFile:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{path} is not UTF-8 text at byte {error.start}; save it as UTF-8"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return parse(text, str(path), os.environ)


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{path} cannot be read: {error.strerror}; check the path and its rights")
