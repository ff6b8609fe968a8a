"""Where a bot's recovery phrase is kept: in one file that only its owner may read.

    identity = open_identity(folder / PHRASE_FILE)          # made, if there is none yet
    identity = open_identity(path, phrase=os.environ.get("SESSION_BOT_MNEMONIC"))

The Session ID, which is public, stands in a file beside it. One rule to remember: the phrase is
read and written here, and shown nowhere.
"""

import os
import stat
import tempfile
from pathlib import Path

from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.errors import SettingsError

PHRASE_FILE = "session_mnemonic"
ID_FILE = "session_id.txt"
PHRASE_VARIABLE = "SESSION_BOT_MNEMONIC"
NAME_VARIABLE = "CLIENT_NAME"
MAX_FILE_BYTES = 4_096


def open_identity(path: Path, *, phrase: str | None = None) -> Identity:
    """The identity of the given phrase, else of the file, else a new one that is kept there."""
    if phrase:
        return Identity.from_phrase(phrase)
    try:
        return load(path)
    except FileNotFoundError:
        identity = Identity.new()
        save(identity, path)
        return identity


def load(path: Path) -> Identity:
    """Read a phrase file; FileNotFoundError when there is none."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise SettingsError(
                f"{path} may be read by others (mode {mode:o}); it holds the recovery phrase: "
                f"chmod 600 {path}"
            )
        text = file.read(MAX_FILE_BYTES)
    try:
        return Identity.from_phrase(text.decode())
    except (SettingsError, UnicodeDecodeError) as error:
        # Not `from error`: nothing that was in the file belongs into a traceback.
        why = str(error) if isinstance(error, SettingsError) else "it is not text"
        raise SettingsError(f"{path} holds no recovery phrase: {why}") from None


def save(identity: Identity, path: Path) -> None:
    """Keep a phrase in a new file; one that is there already is never written over."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, name = tempfile.mkstemp(dir=path.parent)  # only its owner may read it
    part = Path(name)
    try:
        with os.fdopen(number, "w") as file:
            file.write(identity.reveal_phrase() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # appears whole, or not at all, and never in place of another
        except FileExistsError:
            raise SettingsError(
                f"{path} holds an identity already; move it away first, or choose another folder"
            ) from None
    finally:
        part.unlink()
    publish(identity, path.parent)


def publish(identity: Identity, folder: Path) -> None:
    """Write the Session ID where people look for it, unless it stands there already."""
    path = folder / ID_FILE
    line = identity.session_id + "\n"
    if not path.exists() or path.read_text() != line:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(line)
