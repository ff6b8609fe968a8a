"""Keys, the Session ID, and what nobody may see."""

import copy
import pickle
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionbot_kit.channels.session_messenger.identity import (
    Identity,
    id_of,
    is_session_id,
    key_of,
    short,
    verify,
)
from sessionbot_kit.errors import KitError, MessageError, RecordError, SettingsError, UsageError

from .vectors import KEYS


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: keys["session_id"][:8])
def test_the_keys_of_a_phrase_are_those_of_the_other_clients(keys: dict[str, str]) -> None:
    identity = Identity.from_phrase(keys["mnemonic"])
    assert identity.session_id == keys["session_id"] == keys["x25519_pk_with_05"]
    assert identity.ed25519.hex() == keys["ed25519_pk"]
    assert identity.reveal_phrase() == keys["mnemonic"]


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: keys["session_id"][:8])
def test_the_session_id_follows_from_the_signing_key(keys: dict[str, str]) -> None:
    assert id_of(bytes.fromhex(keys["ed25519_pk"])) == keys["session_id"]


def test_two_new_identities_are_not_the_same() -> None:
    assert Identity.new() != Identity.new()


def test_a_new_identity_takes_its_seed_from_the_chance_it_is_given() -> None:
    identity = Identity.new(lambda size: bytes(size))
    assert identity == Identity(bytes(16))
    assert hash(identity) == hash(Identity(bytes(16)))


def test_a_signature_holds_for_its_payload_and_its_key(ada: Identity, bob: Identity) -> None:
    signature = ada.sign(b"payload")
    assert verify(signature, b"payload", ada.ed25519)
    assert not verify(signature, b"payloaD", ada.ed25519)
    assert not verify(signature, b"payload", bob.ed25519)


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_rubbish_is_never_a_signature_and_never_an_accident(sig: bytes, key: bytes) -> None:
    assert not verify(sig, b"payload", key)


def test_an_identity_shows_its_session_id_and_no_secret(ada: Identity) -> None:
    shown = f"{ada!r} {ada} {[ada]}"
    assert "(0548...2c69)" in shown
    for secret in [*KEYS[0]["mnemonic"].split(), KEYS[0]["seed_hex"], KEYS[0]["x25519_sk"]]:
        assert secret not in shown


def test_an_identity_has_no_attributes_to_dump(ada: Identity) -> None:
    assert not hasattr(ada, "__dict__")


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_identity_is_not_copied_or_pickled(ada: Identity, take: object) -> None:
    assert callable(take)
    with pytest.raises(UsageError, match="holds keys"):
        take(ada)


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_seed_of_another_length_makes_no_identity(size: int) -> None:
    with pytest.raises(SettingsError, match="16-byte seed"):
        Identity(bytes(size))


def test_a_session_id_is_recognized() -> None:
    assert is_session_id(KEYS[0]["session_id"])
    assert key_of(KEYS[0]["session_id"]).hex() == KEYS[0]["session_id"][2:]
    assert short(KEYS[0]["session_id"]) == "(0548...2c69)"


@pytest.mark.parametrize(
    "text", ["", "05", "05" + "0" * 63, "03" + "0" * 64, "05" + "G" * 64, "05" + "A" * 64]
)
def test_what_is_no_session_id_is_refused_with_a_sentence(text: str) -> None:
    assert not is_session_id(text)
    with pytest.raises(MessageError, match="no Session ID"):
        key_of(text)


@given(st.text())
def test_any_text_is_a_session_id_or_is_refused(text: str) -> None:
    try:
        assert len(key_of(text)) == 32
    except KitError:
        assert not is_session_id(text)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_key_or_are_refused(key: bytes) -> None:
    with suppress(RecordError):
        assert is_session_id(id_of(key))


@given(st.binary(max_size=200))
def test_rubbish_is_not_unsealed(sealed: bytes) -> None:
    with pytest.raises(RecordError, match="does not open"):
        Identity(bytes(16)).unseal(sealed)


def test_without_its_extra_the_messenger_says_what_to_install() -> None:
    code = "import sys; sys.modules['nacl'] = None; "
    code += "import sessionbot_kit.channels.session_messenger"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.endswith("needs nacl; pip install 'sessionbot-kit[session]'")
