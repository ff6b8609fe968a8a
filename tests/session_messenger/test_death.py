"""A bot is killed at the worst moments, and its people get each answer once."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.loopback import LoopbackNetwork

from .bot_process import SEED
from .people import Person, talking

BOT = Identity(SEED).session_id
PATIENCE_S = 70.0  # with one process
MOMENTS = [
    "before it is stored",
    "after it is stored",
    "in the turn",
    "before the answer is sent",
    "after the swarm has the answer",
    "after the answer is sent",
]


@pytest.fixture
async def network() -> AsyncIterator[LoopbackNetwork]:
    async with LoopbackNetwork(limits_rate=False) as network:
        yield network


@pytest.fixture
async def one(network: LoopbackNetwork, ada: Identity, tmp_path: Path) -> AsyncIterator[Person]:
    async with talking(network, ada, tmp_path / "ada") as person:
        yield person


@asynccontextmanager
async def bot_of(
    network: LoopbackNetwork, folder: Path, *dies_when: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bot's process, which does not outlive the block, nor the patience of whoever waits."""
    (seed,) = network.seeds
    certificate = certificate_in(folder, seed.certificate)
    bot = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.session_messenger.bot_process"),
        *(seed.url, str(certificate), network.file_server_url, str(folder), *dies_when),
        cwd=Path(__file__).parents[2],
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield bot
    finally:
        if bot.returncode is None:
            bot.kill()
        await bot.wait()


def certificate_in(folder: Path, pem: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "seed.pem"
    path.write_text(pem)
    return path


@pytest.mark.timeout(180)  # seven processes, on a machine that may be busy
async def test_a_bot_that_dies_at_every_bad_moment_answers_everybody_once(
    network: LoopbackNetwork, one: Person, tmp_path: Path
) -> None:
    for moment in MOMENTS:
        async with bot_of(network, tmp_path / "bot", moment) as doomed:
            await one.says(BOT, f"!echo {moment}")
            assert await doomed.wait() == -signal.SIGKILL
    async with bot_of(network, tmp_path / "bot"):
        await one.says(BOT, "!echo and again")
        while (await one.hears()).content != "and again":
            continue
    assert [message.content for message in one.heard] == [*MOMENTS, "and again"]


@pytest.mark.timeout(150)  # two processes, on a machine that may be busy
async def test_a_bot_that_lost_its_state_does_not_answer_again(
    network: LoopbackNetwork, one: Person, tmp_path: Path
) -> None:
    for number in range(2):
        async with bot_of(network, tmp_path / "bot") as bot:
            await one.says(BOT, f"!echo {number}")
            assert (await one.hears()).content == str(number)
            bot.terminate()  # it ends in order, and knows that this was answered
            assert await bot.wait() == 0
        forget(tmp_path / "bot")
    assert [message.content for message in one.heard] == ["0", "1"]


def forget(folder: Path) -> None:
    for file in folder.glob("*/state.db*"):
        file.unlink()
