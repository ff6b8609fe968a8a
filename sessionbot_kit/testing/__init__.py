"""What the tests of plugins, stores, links and channels are written with.

    # conftest.py
    from sessionbot_kit.testing import talk

    # test_pizza.py
    async def test_a_size_is_asked_for(talk):
        user = talk(pizza)
        assert await user.says("!pizza") == ["Small or large?"]

`talk` opens conversations with a whole bot (talking.py), FakeClock is a clock to turn (clock.py).
LinkContract is what every link promises (link_contract.py), ChannelContract what every channel
does (channel_contract.py): whoever writes one subclasses it. `plays` plays a recorded conversation
(playing.py).
"""

import pytest

# Before the import: so that what fails in a contract shows its values.
pytest.register_assert_rewrite("sessionbot_kit.testing.channel_contract")
pytest.register_assert_rewrite("sessionbot_kit.testing.link_contract")

from sessionbot_kit.replaying import replay_with  # noqa: E402
from sessionbot_kit.testing.channel_contract import ChannelContract, Line, Peer  # noqa: E402
from sessionbot_kit.testing.clock import FakeClock  # noqa: E402
from sessionbot_kit.testing.link_contract import LinkContract  # noqa: E402
from sessionbot_kit.testing.playing import plays  # noqa: E402
from sessionbot_kit.testing.talking import Person, Talk, talk  # noqa: E402

__all__ = [
    "ChannelContract",
    "FakeClock",
    "Line",
    "LinkContract",
    "Peer",
    "Person",
    "Talk",
    "plays",
    "replay_with",
    "talk",
]
