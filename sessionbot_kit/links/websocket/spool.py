"""Files for large attachments: those that arrive are written as they come, then handed over.

    file = Spool(folder)            # what reassembly writes into
    file.keep()                     # the path, once the message is whole
    file.close()                    # gone, if nobody has kept it

The one rule to remember: a file that was handed over is no longer ours; whoever received it moves
or deletes it.
"""

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO


class Spool(io.FileIO):
    """A file that is deleted when it is closed, unless it was kept."""

    def __init__(self, folder: Path) -> None:
        handle, name = tempfile.mkstemp(prefix="link-", dir=folder)
        self.path = Path(name)
        self._kept = False
        super().__init__(handle, "w+")

    def keep(self) -> Path:
        """Hand the file over."""
        self._kept = True
        self.close()
        return self.path

    def close(self) -> None:
        super().close()
        if not self._kept:
            self._kept = True
            self.path.unlink(missing_ok=True)


def open_files(document: dict[str, Any]) -> list[BinaryIO]:
    """Open the files that a document names, which stay open until they are sent for good."""
    files: list[BinaryIO] = []
    for attachment in document.get("attachments", ()):
        if isinstance(attachment["content"], Path):
            files.append(attachment["content"].open("rb"))
            attachment["content"] = files[-1]
    return files


def keep_files(document: dict[str, Any]) -> None:
    """Hand over the files that were written for a document that is whole."""
    for attachment in document.get("attachments") or ():
        if isinstance(content := attachment.get("content"), Spool):
            attachment["content"] = content.keep()


def close_files(files: Iterable[BinaryIO]) -> None:
    for file in files:
        file.close()
