"""Lets magics be awaited: what they do takes time, and the loop goes on meanwhile.

    %say ada hello              ->  await get_ipython().run_line_magic('say', 'ada hello')
    %%plugin greet              ->  await ...['KitMagics'].plugin('greet', 'the cell, exactly')
    ...

IPython turns a magic into a call, and runs a cell in the loop when it holds an `await`; so the
call is given one. A `%%plugin` cell is taken before any other rule can touch its text: one of them
would take a first line that begins with `...` for a prompt. The one rule to remember: the text
below `%%plugin` arrives character for character.
"""

import re
from collections.abc import Callable

LINE_MAGICS = ("say", "sessions", "session", "bridge", "promote", "replay")
CELL_MAGICS = ("plugin", "basic")

_CALL = re.compile(rf"(?<!await )get_ipython\(\)\.run_line_magic\('({'|'.join(LINE_MAGICS)})', ")
_CELL = re.compile(rf"%%({'|'.join(CELL_MAGICS)})(?![\w-])[ \t]*(.*)")

Lines = list[str]


def take_cell(lines: Lines) -> Lines:
    """Make a call of a whole cell that begins with a cell magic of ours."""
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        found = _CELL.match(line)
        if found is None or line.rstrip().endswith("?"):
            break
        body = "".join(lines[number + 1 :])
        magics = "get_ipython().magics_manager.registry['KitMagics']"
        return [f"await {magics}.{found[1]}({found[2].rstrip()!r}, {body!r})\n"]
    return lines


def await_calls(lines: Lines) -> Lines:
    """Await the line magics of ours."""
    return [_CALL.sub(r"await \g<0>", line) for line in lines]


def hang_in(cleanup: list[Callable[[Lines], Lines]], post: list[Callable[[Lines], Lines]]) -> None:
    """Let IPython ask us: about cells before anybody else, about lines after all others."""
    take_out(cleanup, post)
    cleanup.insert(0, take_cell)
    post.append(await_calls)


def take_out(cleanup: list[Callable[[Lines], Lines]], post: list[Callable[[Lines], Lines]]) -> None:
    """Let IPython forget us."""
    for rules in (cleanup, post):
        rules[:] = [rule for rule in rules if rule.__module__ != __name__]
