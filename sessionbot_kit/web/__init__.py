"""The chat page and the server that carries it and the API; needs the extra `[web]`.

    async with Bot(echo, channels=[WebChannel()]) as bot, serve(bot, port=8080) as door:
        print(door.url)                        # open it in a browser

`door.py` finds the bot of a path, `socket.py` holds the conversation with one browser, `site.py`
has the files of the page, `server.py` the limits of every connection. The verbs of the API are in
`sessionbot_kit.rest`.
"""

from sessionbot_kit.channels.web import WebChannel
from sessionbot_kit.web.door import Door, serve

__all__ = ["Door", "WebChannel", "serve"]
