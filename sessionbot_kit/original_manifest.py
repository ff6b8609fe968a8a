"""The list of plugins of the original plugin manager, `plugins.yaml`.

    plugins:
      - name: echo
        url: ./echo              # a folder, seen from this file
        enabled: true
        default: true
        env: [{ECHO_VOICE: loud}]

    from_manifest(Path("data/plugins.yaml"), os.environ)      # -> (plugin echo,)

That manager cloned and installed what a `url` named, at each start. Here nothing is fetched: a
plugin stands in a folder. The one rule to remember: **this runs the plugins' code**.
"""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import yaml

from sessionbot_kit.errors import PluginError
from sessionbot_kit.original_plugins import OriginalPlugin

FIELDS: Final = frozenset({"name", "package", "url", "enabled", "keep", "default", "env"})
# What changes how programs are found and run is for whoever runs the bot to set, not for a list.
FORBIDDEN: Final = re.compile(r"PATH|HOME|(LD_|DYLD_|PYTHON|SESSIONBOT_).*")


def from_manifest(path: Path, environ: MutableMapping[str, str]) -> tuple[OriginalPlugin, ...]:
    """The plugins that a list enables. What it says for `env` is set where nothing is set."""
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PluginError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    rows = document.get("plugins") if isinstance(document, Mapping) else None
    if not isinstance(rows, list):
        raise PluginError(f"{path} has no list of plugins; write `plugins:` and `- name: ...`")
    return tuple(
        _plugin(path, row, environ) for row in map(_checked(path), rows) if row.get("enabled", True)
    )


def _checked(path: Path) -> Any:
    def check(row: Any) -> dict[str, Any]:
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise PluginError(f"{path}: a plugin has no name; write `- name: ...`")
        if strange := sorted(map(str, row.keys() - FIELDS)):
            raise PluginError(
                f"{path}: {row['name']} has {strange[0]}; there are {', '.join(sorted(FIELDS))}"
            )
        return row

    return check


def _plugin(path: Path, row: dict[str, Any], environ: MutableMapping[str, str]) -> OriginalPlugin:
    name, url = row["name"], str(row.get("url") or row["name"])
    if re.match(r"[\w+.-]+://|git@", url):
        raise PluginError(
            f"{path}: {name} comes from {url}; clone it yourself, look at it, and give its folder"
        )
    folder = next((place for place in (path.parent / url, Path(url)) if place.is_dir()), None)
    if folder is None:
        raise PluginError(f"{path}: there is no folder {url} for {name}; check its url")
    for key, value in _variables(path, name, row.get("env") or ()):
        environ.setdefault(key, value)
    return OriginalPlugin(folder, id=name, default=bool(row.get("default", False)))


def _variables(path: Path, name: str, env: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for pairs in env:
        for key, value in dict(pairs).items():
            if FORBIDDEN.fullmatch(key):
                raise PluginError(
                    f"{path}: {name} sets {key}, which concerns more than itself; set it where "
                    "the bot is started"
                )
            yield key, str(value)
