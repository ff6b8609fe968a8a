"""Links to the original peers: a broker in TypeScript, a plugin manager in Python, as they speak.

    async with serve_links(on_link, on_original_peer=original_managers(on_link)) as server: ...
    async with original_broker("ws://127.0.0.1:8089") as link: await kernel.serve(link)

Neither of them says hello, acknowledges, or names the message that it answers. So here a turn is
answered by the next reply to its person, nothing is resumed after a cut, and the frames of two
messages are never mixed. They show no token either: loopback only, and only when asked for. The
one rule to remember: this is for running old parts beside new ones; new parts join with a link.
"""

from sessionbot_kit.links.original.broker import BrokerLink, original_broker
from sessionbot_kit.links.original.manager import ManagerLink, original_managers

__all__ = ["BrokerLink", "ManagerLink", "original_broker", "original_managers"]
