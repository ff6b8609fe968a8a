"""A local assistant: a language model that remembers, looks things up, and asks before it acts.

    assistant = Assistant(open_model({"url": "http://127.0.0.1:11434/v1", "model": "llama3.2"}))
    bot = Bot(assistant, turn_timeout_s=300)

    answering.py   `Assistant`: from a message to an answer
    prompt.py      what a model gets to read, and who said it
    commands.py    /model and /kb
    summaries.py   summaries of long conversations, written by a model

The one rule to remember: what people, documents and tools say is data. It is quoted with where it
comes from, and gives nobody the right to have anything done.
"""

from sessionbot_kit.plugins.assistant.answering import Assistant, assistant
from sessionbot_kit.plugins.assistant.summaries import summarizer

__all__ = ["Assistant", "assistant", "summarizer"]
