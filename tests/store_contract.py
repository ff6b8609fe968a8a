"""What every store must do, as tests that anybody's store can be held to.

    class TestMine(StoreContract):
        @pytest.fixture
        def place(self, tmp_path):
            return lambda: MyStore(tmp_path / "mine")

`place` makes a store that is not open yet, each time in the same place: a test opens it again
to see what was kept, and twice at once to be two processes.
"""

from tests.store_change_contract import ChangeContract
from tests.store_session_contract import Place
from tests.store_turn_contract import OutboxContract

__all__ = ["Place", "StoreContract"]


class StoreContract(OutboxContract, ChangeContract):
    """All of it."""
