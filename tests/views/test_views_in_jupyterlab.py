"""The views in a real JupyterLab, in a real browser, without the network."""

import pytest

from tests.test_jupyterlab import Visit, browser, lab, notebook_of, visit

__all__ = ["browser", "lab", "visit"]

pytestmark = [pytest.mark.needs("chromium", "playwright"), pytest.mark.timeout(180)]

START = """from sessionbot_kit import Bot, plugin, views
from sessionbot_kit.plugins import echo
bot = Bot(echo)
await bot.start()
views.chat(bot)"""


def test_somebody_types_sees_the_answer_swaps_the_plugin_and_types_again(visit: Visit) -> None:
    swap = "await bot.add(plugin('!echo', id='echo')(lambda message: 'new ' + message.content))"
    visit.run(notebook_of(START, "views.feed(bot)"), "chat.ipynb")
    field = visit.page.locator(".sbk-chat input").first
    field.click()
    visit.page.keyboard.type("!echo typed")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_function(said(".sbk-log", "bot\ntyped"))
    visit.page.wait_for_function(said(".sbk-feed", "!echo typed"))
    visit.run(notebook_of(START, swap, "await bot.hear('!echo more')"), "swap.ipynb")
    visit.page.wait_for_function(said(".sbk-log", "new more"))
    assert (visit.outside, visit.errors) == ([], [])


def test_a_script_that_somebody_sends_stays_text(visit: Visit) -> None:
    nasty = '<img src=x onerror=\\"window.hit = 1\\"><script>window.hit = 1</script>'
    visit.run(
        notebook_of(START, f'await bot.hear("!echo {nasty}")', "views.dashboard(bot)"), "x.ipynb"
    )
    visit.page.wait_for_function(said(".sbk-log", "<script>"))
    assert visit.page.evaluate("() => window.hit") is None


def test_a_narrow_window_scrolls_nothing_but_the_tables(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 420, "height": 900})
    visit.run(
        notebook_of(START, "await bot.hear('!echo ' + 'word ' * 60)", "views.plugins(bot)"),
        "n.ipynb",
    )
    visit.page.wait_for_function(said(".sbk-log", "word word"))
    wider = """() => [...document.querySelectorAll('.sbk')]
        .filter(element => element.scrollWidth > element.clientWidth + 1).length"""
    assert visit.page.evaluate(wider) == 0


def said(where: str, text: str) -> str:
    """A condition: some element shows a text."""
    return (
        f"() => [...document.querySelectorAll({where!r})]"
        f".some(element => element.innerText.includes({text!r}))"
    )
