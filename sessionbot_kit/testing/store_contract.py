"""What every store must do, as tests that anybody's store can be held to.

    from sessionbot_kit.testing import StoreContract

    class TestMine(StoreContract):
        @pytest.fixture
        def place(self, tmp_path):
            return lambda: MyStore(tmp_path / "mine")

`place` makes a store that is not open yet, each time in the same place: a test opens it again
to see what was kept, and twice at once to be two processes.
"""

from sessionbot_kit.testing.store_change_contract import ChangeContract
from sessionbot_kit.testing.store_session_contract import Place
from sessionbot_kit.testing.store_turn_contract import OutboxContract

__all__ = ["Place", "StoreContract"]


class StoreContract(OutboxContract, ChangeContract):
    """All of it."""
