"""The Session network on 127.0.0.1, for tests and notebooks: it checks what it is sent."""

from sessionbot_kit.channels.session_messenger.loopback.faults import Refuses
from sessionbot_kit.channels.session_messenger.loopback.network import LoopbackNetwork
from sessionbot_kit.channels.session_messenger.loopback.person import Person

__all__ = ["LoopbackNetwork", "Person", "Refuses"]
