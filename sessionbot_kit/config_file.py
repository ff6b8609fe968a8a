"""The configuration file as plain data: YAML, with the variables of the environment filled in.

    file = parse("bot: ${NAME:-Ada}\\ntoken: ${TOKEN}\\n", "sessionbot.yml", {"TOKEN": "t0p"})
    file.values         # {"bot": "Ada", "token": "t0p"}
    file.lines          # {("bot",): 1, ("token",): 2}
    file.borrowed       # {("token",)}: what the environment gave

`${VAR}` needs the variable; `${VAR:-default}` takes the default when it is unset or empty, and
the default may hold another `${...}`; `$${` writes a plain `${`. Text and variables come in as
arguments. The one rule to remember: **what a variable gave stays text**, so that the password
`0123` does not become the number 83.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from sessionbot_kit.errors import SettingsError

Place = tuple[str, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEXT = "tag:yaml.org,2002:str"
_MOMENT = "tag:yaml.org,2002:timestamp"


@dataclass(slots=True)
class ConfigFile:
    """What a file says, on which line, and which of it the environment gave."""

    name: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    borrowed: set[Place] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)  # every name that some ${...} asks for

    def where(self, path: Place) -> str:
        """Name the place of a value, or of the nearest section around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name} line {self.lines[path]}" if path else self.name


class Unset(Exception):
    """A variable that is needed, without a default, is not there."""

    def __init__(self, variable: str) -> None:
        super().__init__(variable)
        self.variable = variable


def parse(text: str, name: str, environ: Mapping[str, str]) -> ConfigFile:
    """Read a configuration; every fault is a SettingsError that names the line."""
    file = ConfigFile(name)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return file
        if not isinstance(node, yaml.MappingNode):
            raise SettingsError(f"{name} holds no settings; write lines like `home: data`")
        file.values = _Reader(file, loader, environ).mapping(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" line {mark.line + 1}" if mark else ""
        raise SettingsError(
            f"{name}{line} is not YAML: {error.problem or error.context}; "
            "look at the indentation, the colons and the quotes there"
        ) from None
    except yaml.YAMLError as error:
        sentence = " ".join(str(error).split())
        raise SettingsError(f"{name} is not YAML: {sentence}; save it as plain text") from None
    except RecursionError:
        raise SettingsError(f"{name} is nested too deeply, or holds itself; flatten it") from None
    return file


def expand(text: str, environ: Mapping[str, str]) -> tuple[str, set[str], bool]:
    """Fill variables in; also say which were asked for, and whether any gave its value.

    Raises Unset for a missing variable, ValueError for a `${` that cannot be read.
    """
    parts: list[str] = []
    asked: set[str] = set()
    borrowed = False
    position = 0
    while (start := text.find("${", position)) >= 0:
        if start > position and text[start - 1] == "$":
            parts.append(text[position : start - 1] + "${")
            position = start + 2
            continue
        parts.append(text[position:start])
        end = _closing(text, start)
        variable, separator, default = text[start + 2 : end].partition(":-")
        if not _NAME.fullmatch(variable):
            raise ValueError(text[start : end + 1])
        asked.add(variable)
        value = environ.get(variable)
        if value is None and not separator:
            raise Unset(variable)
        if value or not separator:
            parts.append(value or "")
            borrowed = True
        else:
            inner, more, inner_borrowed = expand(default, environ)
            parts.append(inner)
            asked |= more
            borrowed |= inner_borrowed
        position = end + 1
    parts.append(text[position:])
    return "".join(parts), asked, borrowed


def _closing(text: str, start: int) -> int:
    depth, position = 0, start
    while position < len(text):
        if text.startswith("${", position):
            depth += 1
            position += 2
            continue
        if text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise ValueError(text[start:])


class _Reader:
    """Walks the nodes of a YAML document and keeps the line of each value."""

    def __init__(
        self, file: ConfigFile, loader: yaml.SafeLoader, environ: Mapping[str, str]
    ) -> None:
        self.file = file
        self.loader = loader
        self.environ = environ

    def mapping(self, node: yaml.MappingNode, path: Place) -> dict[str, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise SettingsError(f"{self.file.name} line {line} has a key that is no name")
            if key.value in seen and key.value != "<<":
                raise SettingsError(
                    f"{'.'.join((*path, key.value))} is set twice, on lines {seen[key.value]} and "
                    f"{line} of {self.file.name}; keep one"
                )
            seen[key.value] = line
        self.loader.flatten_mapping(node)
        values = {}
        for key, value in node.value:
            # A key is its text: `on` is a name here and not true, `12345` the id of a chat.
            inner = (*path, key.value)
            self.file.lines[inner] = key.start_mark.line + 1
            values[key.value] = self.value(value, inner)
        return values

    def value(self, node: yaml.Node, path: Place) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, str(n))) for n, item in enumerate(node.value)]
        if node.tag == _TEXT:
            return self.text(node.value, path)
        return node.value if node.tag == _MOMENT else self.loader.construct_object(node)

    def text(self, text: str, path: Place) -> str:
        where = f"{'.'.join(path)} ({self.file.where(path)})"
        try:
            value, asked, borrowed = expand(text, self.environ)
        except Unset as error:
            raise SettingsError(
                f"{where} needs the variable {error.variable}, which is not set; set it, or write "
                f"a default: ${{{error.variable}:-...}}"
            ) from None
        except ValueError as error:
            raise SettingsError(
                f"{where} has {str(error)!r}, which names no variable; write ${{NAME}} or "
                "${NAME:-default}, or $${ for a plain ${"
            ) from None
        self.file.variables |= asked
        if borrowed:
            self.file.borrowed.add(path)
        return value
