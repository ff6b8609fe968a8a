"""People: two that everybody knows, and one who means no good."""

import pytest

from sessionbot_kit.channels.session_messenger.identity import Identity

from .vectors import KEYS


@pytest.fixture
def ada() -> Identity:
    return Identity.from_phrase(KEYS[0]["mnemonic"])


@pytest.fixture
def bob() -> Identity:
    return Identity.from_phrase(KEYS[1]["mnemonic"])


@pytest.fixture
def mallory() -> Identity:
    return Identity.from_phrase(KEYS[2]["mnemonic"])
