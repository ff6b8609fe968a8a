"""What the tests of plugins, stores, links and channels are written with.

    # conftest.py
    from sessionbot_kit.testing import talk

    # test_pizza.py
    async def test_a_size_is_asked_for(talk):
        user = talk(pizza)
        assert await user.says("!pizza") == ["Small or large?"]

`talk` opens conversations with a whole bot (talking.py), FakeClock is a clock to turn (clock.py).
LinkContract is what every link promises (link_contract.py): whoever writes one subclasses it.
"""

import pytest

pytest.register_assert_rewrite("sessionbot_kit.testing.link_contract")

from sessionbot_kit.testing.clock import FakeClock  # noqa: E402  # asserts are rewritten first
from sessionbot_kit.testing.link_contract import LinkContract  # noqa: E402
from sessionbot_kit.testing.talking import Person, Talk, talk  # noqa: E402

__all__ = ["FakeClock", "LinkContract", "Person", "Talk", "talk"]
