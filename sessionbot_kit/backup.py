"""A copy of everything a bot keeps, made while it runs, and the way back.

    backup(settings.store_url, settings.home / "files", Path("bot.tar.gz"))
    restore(Path("bot.tar.gz"), settings.store_url, settings.home / "files")

The copy is that of one moment: SQLite reads it in one transaction, beside a gateway that goes on
writing. The one rule to remember: a restore never overwrites what is there unless it is told to,
and never while a gateway serves it.
"""

import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final

from sessionbot_kit.errors import StoreError, StoreHeld, UsageError
from sessionbot_kit.stores.sqlite.lease import FileLock

STORE: Final = "store.db"
FILES: Final = "files"
PAGES_AT_ONCE: Final = 1_000


def backup(store_url: str, files: Path, target: Path) -> int:
    """Write the store and the files into one archive; how many bytes it has."""
    source = _path(store_url)
    if not source.exists():
        raise UsageError(f"there is no store at {source} yet; nothing can be saved")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        copy = Path(folder) / STORE
        _copy(source, copy)
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as raw:
                with tarfile.open(fileobj=raw, mode="w:gz") as archive:
                    archive.add(copy, STORE)
                    if files.is_dir():
                        archive.add(files, FILES, filter=_wanted)
                raw.flush()
                os.fsync(raw.fileno())
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
    return target.stat().st_size


def restore(archive: Path, store_url: str, files: Path, *, force: bool = False) -> None:
    """Put back what an archive holds, in the place of what is there if `force`."""
    target = _path(store_url)
    if target.exists() and not force:
        raise UsageError(f"{target} is there already; move it away, or add --force")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        _unpack(archive, Path(folder))
        copy = Path(folder) / STORE
        _check(copy, archive)
        if target.exists():
            _refuse_if_served(target)
        for end in ("-wal", "-shm"):  # of the store that goes
            Path(f"{target}{end}").unlink(missing_ok=True)
        copy.rename(target)
        if (saved := Path(folder) / FILES).is_dir():
            shutil.rmtree(files, ignore_errors=True)
            files.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(saved, files)


def _path(store_url: str) -> Path:
    if not store_url.startswith("sqlite:///"):
        raise UsageError(f"{store_url} is no file; use the tools of that database to save it")
    return Path(store_url.removeprefix("sqlite:///"))


def _copy(source: Path, copy: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(copy)) as new,
        ):
            old.backup(new, pages=PAGES_AT_ONCE, sleep=0.0)
    except sqlite3.Error as error:
        raise StoreError(f"{source} could not be copied: {error}; look at the disk") from error


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # A file that is still coming belongs to no message.
    return None if member.name.endswith(".part") else member


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            for member in opened.getmembers():
                parts = PurePosixPath(member.name).parts
                if not parts or parts[0] not in (STORE, FILES) or ".." in parts:
                    raise UsageError(f"{archive} holds {member.name!r}; that is no backup of ours")
            opened.extractall(folder, filter="data")
    except (tarfile.TarError, OSError) as error:
        raise UsageError(f"{archive} cannot be read as a backup: {error}") from error


def _check(copy: Path, archive: Path) -> None:
    if not copy.exists():
        raise UsageError(f"{archive} holds no store; it is no backup of ours")
    try:
        with closing(sqlite3.connect(copy)) as db:
            (said,) = db.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise StoreError(f"the store in {archive} is damaged ({said}); use another backup")


def _refuse_if_served(target: Path) -> None:
    lock = FileLock(target.with_name(target.name + ".lock"))
    try:
        lock.acquire("restore", datetime.now(UTC))
    except StoreHeld as held:
        raise UsageError(f"{held}") from held
    lock.release()
