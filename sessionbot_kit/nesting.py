"""Lets a cell call `asyncio.run(...)` although its loop runs already; only for who asks.

    from sessionbot_kit.nesting import enable_nesting
    enable_nesting()
    asyncio.run(bot.hear("!echo hello"))       # instead of: await bot.hear(...)

Nothing needs it: a cell may `await`. It patches asyncio for the whole process, and makes tasks
slower. Of the two packages that do it, nest-asyncio 1.6 loses the cells that wait in a Jupyter
kernel of ipykernel 7.1 or newer, without a word; nest-asyncio2 is the maintained one. The one rule
to remember: where the first one was applied, only a restart helps.
"""

import asyncio
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from sessionbot_kit.errors import UsageError

LOSES_CELLS_FROM = (7, 1)


def enable_nesting() -> None:
    """Apply nest-asyncio2; a UsageError where nest-asyncio 1.6 is at work and would lose cells."""
    if hasattr(asyncio, "_nest_patched") and not hasattr(asyncio, "_nest_asyncio2"):
        if loses_cells(_ipykernel()):
            raise UsageError(
                "nest_asyncio 1.6 is applied, and loses waiting cells with ipykernel "
                f"{_ipykernel()}; restart the Jupyter kernel and call enable_nesting() instead"
            )
        return
    try:
        nest = import_module("nest_asyncio2")
    except ModuleNotFoundError as error:
        raise UsageError(
            "nesting needs nest-asyncio2, which is not installed; write await instead, or "
            'pip install "sessionbot-kit[notebook]"'
        ) from error
    nest.apply()


def loses_cells(ipykernel: str) -> bool:
    """Whether nest-asyncio 1.6 would lose cells with this version; "" is none."""
    numbers = [int(part) for part in ipykernel.split(".")[:2] if part.isdecimal()]
    return tuple(numbers) >= LOSES_CELLS_FROM


def _ipykernel() -> str:
    try:
        return version("ipykernel")
    except PackageNotFoundError:
        return ""
