"""Indexes a folder in a process of its own: python -m tests.knowledge_child k.db folder [--slowly]

Prints how many documents were new. Slowly: says when it has read 450 and stays there.
"""

import sys
import threading
from pathlib import Path

from sessionbot_kit.knowledge import Progress
from sessionbot_kit.knowledge.index import Index


def show(progress: Progress) -> None:
    if "--slowly" in sys.argv and progress.done == 450:
        print(progress.done, flush=True)  # noqa: T201 - the test waits for it
        threading.Event().wait()


if __name__ == "__main__":
    index = Index(Path(sys.argv[1]))
    index.declare("many", Path(sys.argv[2]))
    print(index.update("many", progress=show).added)  # noqa: T201 - what it has done
    index.close()
