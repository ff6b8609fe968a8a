"""Looks at what a bot needs of this machine, and says what to do about what is missing.

    async for finding in examine(settings):
        finding.fine, finding.what, finding.says      # True, "store", "12 conversations"

Nothing is made or changed by looking. The one rule to remember: **a finding that is not fine says
what to do**.
"""

import importlib.util
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sessionbot_kit.errors import KitError
from sessionbot_kit.settings import Settings
from sessionbot_kit.stores import open_store

EXTRAS = {"jupyterlab": "notebook", "ipywidgets": "notebook"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is as it should be, and what there is to say."""

    what: str
    fine: bool
    says: str
    needed: bool = True


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the settings, the home, the store and what is installed."""
    yield Finding("settings", True, settings.file_name or "no file; the defaults serve")
    yield _home(settings.home)
    if _is_made(settings.store_url):
        yield await _store(settings.store_url)
    else:
        yield Finding("store", True, "none yet, made when it is needed")
    yield _speed_ups()
    for module, extra in EXTRAS.items():
        yield _extra(module, extra)


def _home(home: Path) -> Finding:
    there = home.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        return Finding("home", False, f"{there} is a file; move it, or set SESSIONBOT_HOME")
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            "home",
            False,
            f"{there} cannot be written; change its rights, or set "
            "SESSIONBOT_HOME to another folder",
        )
    return Finding("home", True, f"{home}" if home.exists() else f"{home}, made when it is needed")


def _is_made(url: str) -> bool:
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).exists()


async def _store(url: str) -> Finding:
    try:
        async with open_store(url) as store:
            stats = await store.stats()
    except KitError as error:
        return Finding("store", False, str(error))
    says = f"conversations: {stats.sessions:,}, messages: {stats.messages:,}"
    if stats.dead:
        return Finding("store", False, f"{says}, replies given up: {stats.dead:,}; look at why")
    return Finding("store", True, says)


def _speed_ups() -> Finding:
    if importlib.util.find_spec("websockets.speedups") is None:
        return Finding(
            "websockets",
            False,
            "the C speed-ups are missing, and all is slower; "
            "pip install --force-reinstall websockets",
            needed=False,
        )
    return Finding("websockets", True, "with C speed-ups", needed=False)


def _extra(module: str, extra: str) -> Finding:
    if importlib.util.find_spec(module) is None:
        says = f'not installed; for notebooks: pip install "sessionbot-kit[{extra}]"'
        return Finding(module, False, says, needed=False)
    return Finding(module, True, "installed", needed=False)
