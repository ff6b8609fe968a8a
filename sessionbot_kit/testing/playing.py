"""A recorded conversation as a test: the plugin must say what it said.

plays("plugins/greet.py", "tests/recordings/greet.jsonl")
"""

import asyncio
from pathlib import Path

from sessionbot_kit.edition import release
from sessionbot_kit.recording import Recording
from sessionbot_kit.replaying import replay_with
from sessionbot_kit.sources import load


def plays(plugin: str | Path, recording: str | Path) -> None:
    """Play a recording with the plugin of a file or of `module:name`; fail where it differs."""
    talk = Recording.load(recording)
    plugins = load(plugin)
    try:
        chosen = next((one for one in plugins if one.meta.id == talk.plugin), plugins[0])
        replay = asyncio.run(replay_with(chosen, talk))
    finally:
        for one in plugins:
            release(one)
    assert talk.takes, f"{recording} has no turns; record a conversation"
    assert replay.same, "\n".join(replay.differences)
