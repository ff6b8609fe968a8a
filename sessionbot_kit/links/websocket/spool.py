"""Files for large attachments that arrive: written as they come, and then the application's.

    file = Spool(folder)            # what reassembly writes into
    file.keep()                     # the path, once the message is whole
    file.close()                    # gone, if nobody has kept it

The one rule to remember: a file that was handed over is no longer ours; whoever received it moves
or deletes it.
"""

import io
import tempfile
from pathlib import Path


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
