"""The chat page as a channel: the one platform that is our own.

    web = WebChannel(files=Path("data/files"))
    async with Bot(echo, store="sqlite:///bot.db", channels=[web]) as bot:
        async with serve(bot, port=8080) as door: ...       # sessionbot_kit.web

A page is a list of rows, each with an id that never changes and a number that grows with every
change. A browser that comes back says the highest number that it has seen and is given what is
newer; it puts each row where its id stands. So nothing is lost and nothing is shown twice, after a
cut line, a restart or a kill. The one rule to remember: **a row is on the disk before anybody
sees it**.
"""

from sessionbot_kit.channels.web.channel import Viewer, WebChannel
from sessionbot_kit.channels.web.files import FileNote, Files
from sessionbot_kit.channels.web.pages import Page, Row

__all__ = ["FileNote", "Files", "Page", "Row", "Viewer", "WebChannel"]
