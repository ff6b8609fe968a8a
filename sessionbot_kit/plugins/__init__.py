"""Plugins that come with the house. They use the same doors as anybody's.

from sessionbot_kit.plugins import echo, help
bot = Bot(echo, help)
"""

from sessionbot_kit.plugins.echo import echo
from sessionbot_kit.plugins.help import help
from sessionbot_kit.plugins.reset import reset
from sessionbot_kit.plugins.status import status

__all__ = ["echo", "help", "reset", "status"]
