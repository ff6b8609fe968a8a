"""The Session messenger, natively: end-to-end encrypted, with no server of our own.

    channel = SessionMessenger(Identity.new(), folder="data/session_messenger")

From the ground up: `mnemonic` and `identity` (who we are), `protobuf` and `content` (what is
said), `envelope` (how it is sealed and proven), `events` and `compose` (what it means),
`attachments` (how files are locked), `rpc` (what nodes are asked). These do no I/O and are checked
byte for byte against recordings of another client. Above them `swarm`, `files` and `state` touch
the world, `reader`, `incoming` and `outgoing` keep the promises, and `channel` joins them to the
house. `loopback` is the whole network on 127.0.0.1.
"""

from sessionbot_kit.errors import UsageError

try:
    import cryptography as _cryptography  # noqa: F401  # here, so that its absence has a sentence
    import nacl as _nacl  # noqa: F401
except ImportError as error:
    raise UsageError(
        f"the Session messenger needs {error.name}; pip install 'sessionbot-kit[session]'"
    ) from error

from sessionbot_kit.channels.session_messenger.channel import SessionMessenger
from sessionbot_kit.channels.session_messenger.identity import Identity
from sessionbot_kit.channels.session_messenger.pace import Pace

__all__ = ["Identity", "Pace", "SessionMessenger"]
