"""Models behind the API that nearly every server speaks, on httpx alone.

client.py         asks, waits, asks again, and gives up in time
answer_parts.py   puts an answer together from its parts
server_events.py  takes a stream apart
"""

from sessionbot_kit.llms.openai_compatible.client import OpenAICompatible
from sessionbot_kit.llms.openai_compatible.model_limits import ModelLimits

__all__ = ["ModelLimits", "OpenAICompatible"]
