"""What the tests of plugins, stores, links and channels are written with.

    # conftest.py
    from sessionbot_kit.testing import talk

    # test_pizza.py
    async def test_a_size_is_asked_for(talk):
        user = talk(pizza)
        assert await user.says("!pizza") == ["Small or large?"]

`talk` opens conversations with a whole bot (talking.py), FakeClock is a clock to turn (clock.py),
and `plays` plays a recorded conversation (playing.py).
"""

from sessionbot_kit.testing.clock import FakeClock
from sessionbot_kit.testing.playing import plays
from sessionbot_kit.testing.talking import Person, Talk, talk

__all__ = ["FakeClock", "Person", "Talk", "plays", "talk"]
