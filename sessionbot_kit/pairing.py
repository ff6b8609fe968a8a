"""Who may talk to the bot: a stranger is given a code, and somebody who runs the bot approves it.

    pairing = Pairing(store, "bot", channels=("telegram",))
    await pairing.refusal(message)          # what a stranger is told; None: he may talk
    await pairing.approve("K7M2-9QTX")      # sessionbot pairing approve K7M2-9QTX

A code is good for a day and names one person on one channel. One rule to remember: **a code opens
nothing to whoever has it**; it only says whom to approve.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sessionbot_kit.errors import UsageError
from sessionbot_kit.models import IncomingMessage
from sessionbot_kit.store import Memory, Store

EVERYWHERE: Final = "*"
GOOD_FOR: Final = timedelta(days=1)
TOLD_AGAIN: Final = timedelta(hours=1)
MOST_WAITING: Final = 1_000
LETTERS: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that is taken for another

ONE: Final = "pairing"  # of one person: his own row, read with each message
ALL: Final = "pairings"  # of a bot: everybody, for lists

HELLO: Final = "Hello. I do not know you yet. Ask whoever runs me to approve this code: {}"


@dataclass(frozen=True, slots=True)
class Pair:
    """A person on a channel, and what was decided."""

    channel: str
    user: str
    name: str
    state: str  # waiting, approved, rejected
    code: str
    since: str
    told: str = ""

    @property
    def key(self) -> str:
        return f"{self.channel}/{self.user}"


class Pairing:
    """The strangers of a bot, on the channels where there are any."""

    def __init__(
        self,
        store: Store,
        bot: str,
        *,
        channels: Iterable[str] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._bot = bot
        self._channels = frozenset(channels)
        self._now = now
        self._most = MOST_WAITING

    async def refusal(self, message: IncomingMessage) -> str | None:
        """What a stranger is told instead of an answer, perhaps nothing; None: he may talk."""
        channel, user = message.channel_type, message.sender_id
        if not {EVERYWHERE, channel} & self._channels:
            return None
        stranger = Pair(channel, user, message.sender_name, "waiting", _code(), "")
        pair = await self._pair(stranger)
        if pair is not None and pair.state == "approved":
            return None
        now = self._now()
        if pair is not None and pair.state == "rejected":
            return ""
        if pair is None or now - datetime.fromisoformat(pair.since) > GOOD_FOR:
            if await self._full():
                return ""  # strangers must not fill the disk
            pair = replace(stranger, since=now.isoformat())
        elif now - datetime.fromisoformat(pair.told) < TOLD_AGAIN:
            return ""
        await self._keep(replace(pair, told=now.isoformat()))
        return HELLO.format(pair.code)

    async def list(self) -> list[Pair]:
        """Everybody, those who wait first."""
        found = []
        for value in (await self._store.memories(ALL, self._bot)).values():
            pair = _read(value)
            if await self._pair(pair) is None:  # the person was erased
                await self._store.remember(Memory(ALL, self._bot, pair.key, None))
            else:
                found.append(pair)
        order = {"waiting": 0, "approved": 1, "rejected": 2}
        return sorted(found, key=lambda pair: (order[pair.state], pair.since))

    async def approve(self, code: str) -> Pair:
        """Let a person talk to the bot."""
        return await self._decide(code, "approved")

    async def reject(self, code: str) -> Pair:
        """Never answer a person; he is not told."""
        return await self._decide(code, "rejected")

    async def revoke(self, name: str) -> Pair:
        """Make a stranger of somebody: by his code, or as channel/user."""
        pair = await self._named(name)
        await self._store.remember(
            Memory(ONE, pair.user, self._name(pair), None), Memory(ALL, self._bot, pair.key, None)
        )
        return pair

    async def _decide(self, name: str, state: str) -> Pair:
        pair = replace(await self._named(name), state=state, since=self._now().isoformat())
        await self._keep(pair)
        return pair

    async def _named(self, name: str) -> Pair:
        wanted = name.strip()
        for pair in await self.list():
            if wanted in (pair.key, pair.code) or wanted.upper() == pair.code:
                return pair
        raise UsageError(f"nobody has the code {wanted}; see sessionbot pairing list")

    async def _full(self) -> bool:
        """Whether too many wait, when those whose code is too old have gone."""
        oldest = (self._now() - GOOD_FOR).isoformat()
        waiting = [pair for pair in await self.list() if pair.state == "waiting"]
        for pair in waiting:
            if pair.since < oldest:
                await self.revoke(pair.key)
        return sum(pair.since >= oldest for pair in waiting) >= self._most

    async def _pair(self, like: Pair) -> Pair | None:
        """What is known of a person, in the row that is erased with him."""
        found = (await self._store.memories(ONE, like.user)).get(self._name(like))
        return None if found is None else _read(found)

    async def _keep(self, pair: Pair) -> None:
        value = asdict(pair)
        await self._store.remember(
            Memory(ONE, pair.user, self._name(pair), value),
            Memory(ALL, self._bot, pair.key, value),
        )

    def _name(self, pair: Pair) -> str:
        return f"{self._bot}/{pair.channel}"


def _code() -> str:
    letters = "".join(secrets.choice(LETTERS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def _read(value: Any) -> Pair:
    kept: Mapping[str, str] = value
    return Pair(**kept)
