"""What a bot must not forget."""

import sqlite3
import stat
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger.events import DAY_MS, Expiry
from sessionbot_kit.channels.session_messenger.rpc import Node
from sessionbot_kit.channels.session_messenger.state import Contact, Part, State
from sessionbot_kit.errors import StoreError, StoreTooNew

NODE = Node("a" * 64, "93.184.216.34", 22021)
HASH = "G3HFFX2z4H1YW5PP8/f9Jxx463V1BB5UY2Rt5i3n0+4"
NOW = 1767225600000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.db"


def test_a_state_outlives_its_process(path: Path) -> None:
    with State.open(path) as state:
        state.set_cursor(NODE, HASH)
        state.mark_seen((b"one", b"two"), NOW)
        state.set_contact("ada", Contact("Ada", approved=True, expiry=Expiry(2, 60)))
        state.set_nodes((NODE,), NOW)
    with State.open(path) as state:
        assert state.cursor(NODE) == HASH
        assert state.has_seen(b"one")
        assert state.has_seen(b"two")
        assert state.contact("ada") == Contact("Ada", approved=True, expiry=Expiry(2, 60))
        assert state.nodes(local=False) == ((NODE,), NOW)


def test_a_new_state_knows_nothing(path: Path) -> None:
    with State.open(path) as state:
        assert state.cursor(NODE) == ""
        assert not state.has_seen(b"one")
        assert state.contact("ada") == Contact()
        assert state.parts("1") == ()
        assert state.nodes(local=False) == ((), 0)
        assert state.last_timestamp() == 0


def test_only_its_owner_may_read_it(path: Path) -> None:
    with State.open(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_each_node_has_a_cursor_of_its_own(path: Path) -> None:
    with State.open(path) as state:
        state.set_cursor(NODE, HASH)
        assert state.cursor(Node("b" * 64, NODE.ip, NODE.port)) == ""


def test_what_is_being_sent_is_written_down_part_by_part(path: Path) -> None:
    with State.open(path) as state:
        state.prepare("1", (Part("ada", NOW, b"x"), Part("ada", NOW + 1, b"y")))
        state.mark_sent("1", 0, HASH)
    with State.open(path) as state:
        assert state.parts("1") == (Part("ada", NOW, None, HASH), Part("ada", NOW + 1, b"y"))
        assert state.last_timestamp() == NOW + 1
        state.forget_sent("1")
        assert state.parts("1") == ()


def test_what_can_no_longer_matter_is_forgotten(path: Path) -> None:
    with State.open(path) as state:
        state.mark_seen((b"one",), NOW)
        state.prepare("1", (Part("ada", NOW, b"x"),))
        state.prune(NOW + 15 * DAY_MS)
        assert state.has_seen(b"one")
        assert state.parts("1")
        state.prune(NOW + 18 * DAY_MS)
        assert not state.has_seen(b"one")
        assert not state.parts("1")


def test_the_state_does_not_show_what_is_in_it(path: Path) -> None:
    with State.open(path) as state:
        assert repr(state) == f"State({path})"
    assert "secret" not in repr(Part("ada", NOW, b"secret"))


def test_a_file_that_is_no_state_is_refused_with_a_way_out(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, certainly not one of ours" * 100)
    with pytest.raises(StoreError, match="may be moved away"):
        State.open(path)


def test_a_newer_state_is_not_touched(path: Path) -> None:
    State.open(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreTooNew, match="update it"):
        State.open(path)


def test_a_state_that_cannot_be_written_says_so(path: Path) -> None:
    with State.open(path) as state:
        state.prepare("1", (Part("ada", NOW, b"x"),))
        with pytest.raises(StoreError, match="look at the disk"):
            state.prepare("1", (Part("ada", NOW, b"x"),))
        state.prepare("2", (Part("ada", NOW, b"x"),))
