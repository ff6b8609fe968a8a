"""One version of a plugin's code: its exact bytes, compiled in a namespace of their own.

    edition = Edition("tarot", {"": Page(Path("plugins/tarot.py"), source)})
    edition.version                     # the sha256 of the bytes
    module = edition.open()             # runs the code; PluginError with file and line if it fails
    edition.close()                     # it leaves sys.modules; what still runs of it runs on

An edition is never changed and never reloaded: other bytes are another edition, with modules of
its own, so that two versions of a plugin stand side by side while one takes over from the other.
The one rule to remember: **a traceback shows the lines that ran**, not those that the file holds
by now; that is why a file name in it ends in `@` and the first digits of the version.
"""

import hashlib
import importlib
import importlib.util
import linecache
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from sessionbot_kit.errors import PluginError

MAIN = "plugin"  # the page of a directory that is looked at first
SHORT = 12  # digits of a version that are shown


@dataclass(frozen=True, slots=True)
class Page:
    """One file of an edition."""

    file: Path
    source: bytes
    package: bool = False


class Edition(Loader, MetaPathFinder):
    """The files of a plugin as they were read, by their dotted name below the plugin's own."""

    def __init__(self, name: str, pages: Mapping[str, Page]) -> None:
        self.name = name
        self.pages = dict(pages)
        self.version = _version(self.pages)
        self._module_name = ""
        self._modules: dict[str, ModuleType] = {}
        self._in_use: list[object] = []

    def open(self, page: str = "") -> ModuleType:
        """Compile and run the edition, once; the module of one of its pages."""
        try:
            if not self._module_name:
                self._enter()
            module = importlib.import_module(f"{self._module_name}.{page}".rstrip("."))
        except BaseException as fault:
            self.close()
            if isinstance(fault, KeyboardInterrupt):
                raise
            raise PluginError(self.sentence(fault)) from fault
        if len(self.pages) == 1:
            self._leave_finders()  # there is nothing more to find
        return module

    def close(self) -> None:
        """Leave the tables of the interpreter; objects of this edition live as long as needed."""
        self._leave_finders()
        for name, module in self._modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        for page in self.pages.values():
            linecache.cache.pop(self._shown(page), None)
        self._modules.clear()
        self._module_name = ""

    def keep(self, plugin: object) -> None:
        """Stay open for a plugin that was made of this edition."""
        plugin.edition = self  # type: ignore[attr-defined]  # shown to whoever asks for its version
        self._in_use.append(plugin)

    def release(self, plugin: object) -> None:
        """A plugin has ended; the last one closes the edition."""
        self._in_use = [other for other in self._in_use if other is not plugin]
        if not self._in_use:
            self.close()

    def sentence(self, fault: BaseException) -> str:
        """What went wrong in this code, with file and line."""
        shown = {self._shown(page): page.file for page in self.pages.values()}
        file, line = (self.pages.get(MAIN) or self.pages[""]).file, 0
        for frame in traceback.extract_tb(fault.__traceback__):
            if frame.filename in shown:
                file, line = shown[frame.filename], frame.lineno or 0
        what = str(fault)
        if isinstance(fault, SyntaxError):
            what = fault.msg
            if fault.filename in shown:
                file, line = shown[fault.filename], fault.lineno or 0
            if "`" not in what and _is_notebook_line(fault.text):
                what += "; a module has no %magic, !command or await outside a function"
        place = f"{file}:{line}" if line else str(file)
        what = " ".join(what.split())
        if isinstance(fault, PluginError):
            return f"{place}: {what}"
        mend = "install what it needs" if isinstance(fault, ImportError) else "mend it there"
        return f"{place} cannot be loaded: {type(fault).__name__}: {what}; {mend}"

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Called by the import system: a page of this edition, if it is one."""
        root, _, below = name.partition(".")
        if root != self._module_name or (page := self.pages.get(below)) is None:
            return None
        spec = ModuleSpec(name, self, origin=str(page.file), is_package=page.package)
        spec.has_location = True
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(str(page.file.parent))
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Called by the import system: an ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Called by the import system: compile the bytes of a page and run them."""
        page = self.pages[module.__name__.partition(".")[2]]
        self._modules[module.__name__] = module
        file = self._shown(page)
        # The flags of whoever compiles, such as `annotations`, are none of the plugin's business.
        code = compile(page.source, file, "exec", dont_inherit=True)
        text = importlib.util.decode_source(page.source)
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(code, module.__dict__)

    def _enter(self) -> None:
        stem = re.sub(r"\W", "_", self.name)
        name = f"sessionbot_plugin_{stem}_{self.version[:SHORT]}"
        while name in sys.modules:
            name += "_"  # the same bytes are open already, for somebody else
        self._module_name = name
        sys.meta_path.insert(0, self)

    def _leave_finders(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def _shown(self, page: Page) -> str:
        return f"{page.file}@{self.version[:SHORT]}"

    def __repr__(self) -> str:
        return f"edition {self.version[:SHORT]} of {self.name}"


def release(plugin: object) -> None:
    """Tell the edition of a plugin, if it has one, that the plugin has ended."""
    if isinstance(edition := getattr(plugin, "edition", None), Edition):
        edition.release(plugin)


def _version(pages: Mapping[str, Page]) -> str:
    if list(pages) == [""]:
        return hashlib.sha256(pages[""].source).hexdigest()
    digest = hashlib.sha256()
    for name, page in sorted(pages.items()):
        digest.update(f"{name}\0{hashlib.sha256(page.source).hexdigest()}\0".encode())
    return digest.hexdigest()


def _is_notebook_line(text: str | None) -> bool:
    return (text or "").lstrip().startswith(("%", "!", "await "))
