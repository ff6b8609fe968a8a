"""Where the phrase is kept, and that it shows nowhere."""

import logging
import stat
import traceback
from pathlib import Path

import pytest

from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.configured import configured
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.phrase_file import (
    ID_FILE,
    PHRASE_FILE,
    load,
    open_identity,
    save,
)
from sessionbot_kit.errors import SettingsError

from .vectors import KEYS

PHRASE = KEYS[0]["mnemonic"]
ADA = KEYS[0]["session_id"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / PHRASE_FILE


def test_an_identity_is_made_the_first_time_and_found_again(path: Path) -> None:
    made = open_identity(path)
    assert open_identity(path) == made
    assert (path.parent / ID_FILE).read_text() == made.session_id + "\n"


def test_only_its_owner_may_read_a_phrase(path: Path) -> None:
    open_identity(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == [ID_FILE, PHRASE_FILE]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_phrase_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    open_identity(path)
    path.chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        load(path)


def test_a_given_phrase_goes_before_the_file(path: Path) -> None:
    open_identity(path)
    assert open_identity(path, phrase=PHRASE).session_id == ADA


def test_an_identity_is_never_written_over(path: Path, ada: Identity) -> None:
    made = open_identity(path)
    with pytest.raises(SettingsError, match="move it away first"):
        save(ada, path)
    assert load(path) == made
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", PHRASE.replace("puffin", "pufin").encode()])
def test_a_file_that_holds_no_phrase_is_refused_without_quoting_it(
    path: Path, content: bytes
) -> None:
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="holds no recovery phrase") as caught:
        load(path)
    shown = "".join(traceback.format_exception(caught.value))
    assert not [word for word in PHRASE.split() if word in shown]


def test_the_environment_goes_before_the_settings(tmp_path: Path) -> None:
    environ = {"SESSION_BOT_MNEMONIC": PHRASE, "CLIENT_NAME": "my_bot"}
    section = {"mnemonic": KEYS[1]["mnemonic"], "client_name": "other", "slow_poll_s": 9}
    channel = configured(section, home=tmp_path, environ=environ)
    assert channel.session_id == ADA
    assert channel.client_name == "my_bot"
    assert configured(section, home=tmp_path, environ={}).session_id == KEYS[1]["session_id"]


def test_the_session_id_stands_in_a_file_wherever_the_phrase_came_from(tmp_path: Path) -> None:
    path = tmp_path / "home" / "session_id.txt"
    path.parent.mkdir()
    path.write_text("of the bot that was here before\n")
    channel = configured({"mnemonic": PHRASE}, home=path.parent, environ={})
    assert path.read_text() == f"{channel.session_id}\n"


def test_without_a_phrase_a_bot_has_an_identity_of_its_own(tmp_path: Path) -> None:
    first = configured({}, home=tmp_path, environ={})
    assert configured({}, home=tmp_path, environ={}).session_id == first.session_id


@pytest.mark.parametrize(
    "section",
    [{"mnemonik": PHRASE}, {"mnemonic": [PHRASE]}, {"mnemonic": PHRASE, "fast_poll_s": 0}],
)
def test_a_section_that_cannot_be_is_refused_without_quoting_the_phrase(
    tmp_path: Path, section: dict[str, object]
) -> None:
    with pytest.raises(SettingsError, match="plugins: session_messenger: ") as caught:
        configured(section, home=tmp_path, environ={})
    shown = "".join(traceback.format_exception(caught.value))
    assert "luxury" not in shown


def test_no_repr_and_no_log_holds_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel: SessionMessenger = configured({"mnemonic": PHRASE}, home=tmp_path, environ={})
    shown = f"{channel!r} {channel} {channel.identity!r} {caplog.text}"
    assert not [word for word in PHRASE.split() if word in shown]
    assert KEYS[0]["seed_hex"] not in shown
