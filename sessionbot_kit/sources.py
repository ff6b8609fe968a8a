"""From where a plugin can be loaded, and which objects in a module are plugins.

    load("plugins/tarot.py")          # a file
    load("plugins/tarot")             # a directory: its plugin.py, or else its __init__.py
    load("tarot_bot.cards:tarot")     # module:name of what is installed; or the module alone
    load("data/plugins.yaml")         # the list of the original plugin manager

A module gives what its `create_plugin()` returns; else the plugins that were made in it; else an
instance of the one plugin class that it holds. Files and directories are editions: compiled from
the bytes that were read, each version beside the others. What is installed is imported as ever.
The one rule to remember: **loading runs the code**. Load what you trust.
"""

import importlib
import inspect
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from sessionbot_kit.edition import MAIN, Edition, Page
from sessionbot_kit.errors import PluginError
from sessionbot_kit.extension import FunctionPlugin, Plugin, PluginMeta
from sessionbot_kit.faults import place_of
from sessionbot_kit.original_manifest import from_manifest

FACTORY = "create_plugin"


def load(what: str | Path) -> tuple[Plugin, ...]:
    """The plugins of a file, a directory, or `module:name`."""
    if str(what).endswith((".yaml", ".yml")):
        return from_manifest(Path(what), os.environ)  # its plugins look for it there themselves
    if isinstance(what, Path) or "/" in what or what.endswith(".py"):
        return open_edition(read_edition(Path(what)))
    return from_module(what)


def read_edition(path: Path) -> Edition:
    """The bytes of a plugin as they are now; nothing is compiled and nothing runs."""
    try:
        if not path.is_dir():
            return Edition(path.stem, {"": Page(path, path.read_bytes())})
        files = python_files(path)
        pages = {_dotted(file.relative_to(path)): _page(file) for file in files}
    except OSError as error:
        raise PluginError(
            f"{path} cannot be read: {error.strerror}; check the path and its rights"
        ) from error
    if "" not in pages and MAIN not in pages:
        raise PluginError(f"{path} holds no plugin; write a plugin.py with {FACTORY}() in it")
    pages.setdefault("", Page(path / "__init__.py", b"", package=True))
    return Edition(path.resolve().name, pages)


def open_edition(edition: Edition) -> tuple[Plugin, ...]:
    """Run an edition and take its plugins."""
    module = edition.open()
    if MAIN in edition.pages:
        module = edition.open(MAIN)
    try:
        plugins = plugins_of(module)
    except BaseException as fault:
        edition.close()
        if isinstance(fault, KeyboardInterrupt):
            raise
        raise PluginError(edition.sentence(fault)) from fault
    for plugin in plugins:
        edition.keep(plugin)
    return plugins


def from_module(what: str) -> tuple[Plugin, ...]:
    """The plugins of an installed module, or the one that `module:name` names."""
    module_name, _, name = what.partition(":")
    try:
        module = importlib.import_module(module_name)
        if name:
            return (as_plugin(_attribute(module, name), what),)
        if not hasattr(module, FACTORY) and _has_main(module):
            module = importlib.import_module(f"{module_name}.{MAIN}")
        return plugins_of(module)
    except PluginError:
        raise
    except (Exception, SystemExit) as fault:
        mend = "install what it needs" if isinstance(fault, ImportError) else "mend it there"
        raise PluginError(
            f"{what} cannot be loaded: {type(fault).__name__}: {fault}{place_of(fault)}; {mend}"
        ) from fault


def plugins_of(module: ModuleType) -> tuple[Plugin, ...]:
    """The plugins of a module; a PluginError when it holds none."""
    if (factory := getattr(module, FACTORY, None)) is not None:
        return (as_plugin(factory, f"{FACTORY}()"),)
    family = module.__name__.removesuffix(f".{MAIN}")
    held = [value for value in vars(module).values() if _home(value).startswith(family)]
    made = _once(value for value in held if not isinstance(value, type) and _has_meta(value))
    if made:
        return tuple(made)
    classes = _once(value for value in held if isinstance(value, type) and _has_meta(value))
    if len(classes) == 1:
        return (as_plugin(classes[0], classes[0].__name__),)
    many = ", ".join(each.__name__ for each in classes)
    raise PluginError(
        f"it holds several plugin classes, {many}; make one of them in {FACTORY}()"
        if classes
        else f"it holds no plugin; write @plugin above a function, or {FACTORY}()"
    )


def plugin_name(plugin: Any, module: ModuleType) -> str:
    """The name by which a module offers a plugin: what stands after the colon in module:name."""
    if hasattr(module, FACTORY):
        return FACTORY
    named = (name for name, value in vars(module).items() if value is plugin)
    return next(named, type(plugin).__name__)


def as_plugin(value: Any, name: str) -> Plugin:
    """A plugin, or what makes one when it is called."""
    is_maker = isinstance(value, type) or (callable(value) and not _has_meta(value))
    made = value() if is_maker else value
    if not _has_meta(made):
        raise PluginError(
            f"{name} gives {type(made).__name__}, which is no plugin; give it a "
            "meta = PluginMeta(...), or write @plugin above the function"
        )
    return made  # type: ignore[no-any-return]  # it has all that is asked of a plugin


def python_files(folder: Path) -> list[Path]:
    """The files of a directory that can be plugin code, in order."""
    return sorted(
        file
        for file in folder.rglob("*.py")
        if not any(part.startswith((".", "__pycache__")) for part in file.relative_to(folder).parts)
    )


def _page(file: Path) -> Page:
    return Page(file, file.read_bytes(), package=file.name == "__init__.py")


def _dotted(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _attribute(module: ModuleType, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        if (value := getattr(value, part, None)) is None:
            raise PluginError(f"{module.__name__} has no {name}; look at how it is spelled")
    return value


def _has_main(module: ModuleType) -> bool:
    folders = getattr(module, "__path__", ())
    return any((Path(folder) / f"{MAIN}.py").is_file() for folder in folders)


def _has_meta(value: Any) -> bool:
    return isinstance(inspect.getattr_static(value, "meta", None), PluginMeta) or isinstance(
        value, Plugin
    )


def _home(value: Any) -> str:
    """The module in which something was made, and not only imported."""
    if isinstance(value, FunctionPlugin):
        value = value.answer
    elif not isinstance(value, type):
        value = type(value)
    return str(getattr(value, "__module__", ""))


def _once(values: Iterable[Any]) -> list[Any]:
    return list({id(value): value for value in values}.values())
