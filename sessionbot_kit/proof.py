"""Plays recordings in a fresh interpreter, which knows nothing of this one.

    replay, = await play_fresh("plugins/pizza.py", [Recording.load("pizza.jsonl")])
    replay.same

`python -I` is isolated: no current folder, no PYTHON* variables, no module that somebody has
imported before, no name that somebody has left in a notebook. So what plays right there does so
because of the file and what is installed, and for no other reason. The one rule to remember: the
bytes that were played are those of the hash that was asked for, or nothing is played.
"""

import asyncio
import hashlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sessionbot_kit.errors import KitError, PluginError
from sessionbot_kit.extension import Plugin
from sessionbot_kit.recording import Recording, line_of, take_of
from sessionbot_kit.replaying import Replay, replay_with
from sessionbot_kit.sources import from_module, open_edition, read_edition

TIME_LIMIT_S: Final = 120.0
_HOUSE: Final = str(Path(__file__).parents[1])
_BEGIN: Final = (
    "import sys; sys.path += sys.argv[1:]; from sessionbot_kit.proof import answer; answer()"
)


async def play_fresh(
    what: str | Path,
    recordings: Sequence[Recording],
    *,
    sha256: str | None = None,
    paths: Sequence[str] = (),
    time_limit_s: float = TIME_LIMIT_S,
) -> list[Replay]:
    """Play recordings with the plugin of a file, a directory, or `module:name`.

    `sha256` is what the bytes must be. In `paths` modules are found, after what is installed.
    """
    question = {
        "what": _named(what),
        "sha256": sha256,
        "recordings": [r.text() for r in recordings],
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", _BEGIN, *paths, _HOUSE),
        cwd="/",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(time_limit_s):
            out, complaint = await process.communicate(json.dumps(question).encode())
    except TimeoutError as error:
        raise PluginError(
            f"{what} did not play its recordings within {time_limit_s:g} s; look for what waits"
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _understand(what, recordings, out, complaint)


def _named(what: str | Path) -> str:
    # It is looked for from another folder.
    return os.path.abspath(what) if isinstance(what, Path) else what


def _understand(
    what: str | Path, recordings: Sequence[Recording], out: bytes, complaint: bytes
) -> list[Replay]:
    try:
        reply = json.loads(out)
    except ValueError as error:
        said = complaint.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise PluginError(
            f"{what} ended its interpreter: {said[-1]}; load it by itself to see why"
        ) from error
    if "refused" in reply:
        raise PluginError(reply["refused"])
    return [
        Replay(recording, tuple(map(take_of, lines)), reply["version"])
        for recording, lines in zip(recordings, reply["played"], strict=True)
    ]


def answer() -> None:
    """The other side: the question comes on standard input, the answer to standard output."""
    # What the plugin prints must not come between.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    question = json.load(sys.stdin)
    try:
        reply = asyncio.run(_play(question))
    except KitError as refusal:
        reply = {"refused": str(refusal)}
    except BaseException as fault:  # somebody else's code, up to sys.exit()
        traceback.print_exc()
        reply = {"refused": f"{question['what']}: {type(fault).__name__}: {fault}; mend it there"}
    with out:
        json.dump(reply, out)


async def _play(question: dict[str, Any]) -> dict[str, Any]:
    what, wanted, version, played = question["what"], question["sha256"], "", []
    for text in question["recordings"]:
        plugins, version = _load(what)  # each time anew: none begins with the state of another
        if wanted is not None and version != wanted:
            raise PluginError(
                f"{what} holds other bytes ({version[:12]}) than those that ran ({wanted[:12]}); "
                "write it again"
            )
        replay = await replay_with(_chosen(plugins, what, text), Recording.read(text))
        played.append([line_of(take) for take in replay.played])
    return {"version": version, "played": played}


def _load(what: str) -> tuple[tuple[Plugin, ...], str]:
    if os.sep in what or what.endswith(".py"):
        edition = read_edition(Path(what))
        return open_edition(edition), edition.version
    plugins = from_module(what)
    file = getattr(sys.modules[what.partition(":")[0]], "__file__", None)
    return plugins, hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _chosen(plugins: tuple[Plugin, ...], what: str, text: str) -> Plugin:
    if len(plugins) == 1:
        return plugins[0]
    wanted = Recording.read(text).plugin
    for plugin in plugins:
        if plugin.meta.id == wanted:
            return plugin
    ids = ", ".join(plugin.meta.id for plugin in plugins)
    raise PluginError(f"{what} holds {ids}, and the recording is of {wanted}; name one of them")
