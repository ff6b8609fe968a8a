"""Looks at what a bot needs of this machine, and says what to do about what is missing.

    async for finding in examine(settings):
        finding.fine, finding.what, finding.says      # True, "store", "12 conversations"

Nothing is made or changed by looking. The one rule to remember: **a finding that is not fine says
what to do**.
"""

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sessionbot_kit.errors import AccessError, KitError
from sessionbot_kit.sessions import Clocks, SessionManager
from sessionbot_kit.settings import Settings
from sessionbot_kit.store import Store
from sessionbot_kit.stores import open_store

EXTRAS = {"jupyterlab": "notebook", "ipywidgets": "notebook", "uvicorn": "web"}
LEAST_DISK_BYTES = 500_000_000
LEAST_MEMORY_BYTES = 200_000_000
CLOCK_SKEW = timedelta(minutes=1)
PURPOSES = {"notebook": "notebooks", "web": "the chat page"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, whether it is as it should be, and what there is to say."""

    what: str
    fine: bool
    says: str
    needed: bool = True


async def examine(settings: Settings, token: str = "") -> AsyncIterator[Finding]:
    """Look at the settings, the home, the store, the machine and what is installed."""
    yield Finding("settings", True, settings.file_name or "no file; the defaults serve")
    yield _home(settings.home)
    yield _disk(settings.home)
    yield _memory()
    yield _timeouts()
    if _is_made(settings.store_url):
        async for finding in _store(settings.store_url, token):
            yield finding
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


async def _store(url: str, token: str) -> AsyncIterator[Finding]:
    try:
        async with open_store(url) as store:
            stats = await store.stats()
            says = f"conversations: {stats.sessions:,}, messages: {stats.messages:,}"
            if stats.dead:
                says += f", replies given up: {stats.dead:,}; look at why: sessionbot outbox dead"
            yield Finding("store", not stats.dead, says)
            yield await _cache(store)
            yield await _clock(store)
            if token:
                yield await _token(store, token)
    except KitError as error:
        yield Finding("store", False, str(error))


async def _cache(store: Store) -> Finding:
    newest = await store.sessions(limit=1)
    if not newest:
        return Finding("cache", True, "empty, as the store is")
    await store.load(newest[0].id)
    if newest[0].id in store.loaded():
        return Finding("cache", True, "holds what is read")
    return Finding("cache", False, "forgets at once; set the limit of loaded sessions above 0")


async def _clock(store: Store) -> Finding:
    now = datetime.now(UTC)
    newest = await store.sessions(limit=1, active_since=now + CLOCK_SKEW)
    if newest:
        ahead = newest[0].last_activity - now
        return Finding(
            "clock",
            False,
            f"it is {ahead.total_seconds():,.0f} s behind what is stored, so sessions expire at "
            "wrong times; set it: timedatectl set-ntp true",
        )
    return Finding("clock", True, f"{now:%Y-%m-%d %H:%M:%S} UTC, after all that is stored")


async def _token(store: Store, token: str) -> Finding:
    try:
        session = await SessionManager(store).check_token(token)
    except AccessError as refusal:
        return Finding("token", False, str(refusal))
    expires = f"until {session.expires_at:%Y-%m-%d %H:%M} UTC" if session.expires_at else "for good"
    return Finding("token", True, f"opens session {session.seq}, {session.state}, {expires}")


def _disk(home: Path) -> Finding:
    there = home.absolute()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < LEAST_DISK_BYTES:
        return Finding("disk", False, f"{free / 1e6:,.0f} MB are free at {there}; make room")
    return Finding("disk", True, f"{free / 1e9:,.1f} GB are free at {there}")


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return Finding("memory", True, "this system does not say how much is free", needed=False)
    values = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    free = values.get("MemAvailable", 0)
    if free < LEAST_MEMORY_BYTES:
        says = f"{free / 1e6:,.0f} MB are free; end something, or give the bot more"
        return Finding("memory", False, says)
    return Finding("memory", True, f"{free / 1e9:,.1f} GB are free")


def _timeouts() -> Finding:
    clocks = Clocks()
    parts = [
        f"{name} after {seconds / 3600:g} h" if seconds is not None else f"{name}: never"
        for name, seconds in (
            ("idle", clocks.idle_after_s),
            ("visitors expire", clocks.anonymous_expires_after_s),
            ("users expire", clocks.authenticated_expires_after_s),
        )
    ]
    return Finding("timeouts", True, ", ".join(parts))


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
        says = f'not installed; for {PURPOSES[extra]}: pip install "sessionbot-kit[{extra}]"'
        return Finding(module, False, says, needed=False)
    return Finding(module, True, "installed", needed=False)
