"""Take the README's picture: a real notebook in a real JupyterLab, with a plugin and its chat.

    python -m checks.picture          # writes docs/images/first_bot.png

Chromium and Playwright are needed; where they are missing the picture stays as it is, and that is
said. The one rule to remember: what the picture shows has happened, nothing is drawn.
"""

import os
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from checks.files import ROOT
from tests.machine import chromium

PICTURE = ROOT / "docs" / "images" / "first_bot.png"
WIDTH, HEIGHT = 1100, 760
CELLS = (
    "%load_ext sessionbot_kit\nfrom sessionbot_kit import Bot\n\nbot = await Bot().start()\nbot",
    """%%plugin pizza
from sessionbot_kit import plugin

@plugin("!pizza")
async def pizza(chat):
    \"\"\"Order a pizza.\"\"\"
    size = await chat.ask("Small or large?", choices=["small", "large"])
    return f"One {size} pizza, coming.\"""",
)
TALK = (("!pizza", "Small or large?"), ("large", "One large pizza, coming."))


def take(folder: Path) -> None:
    """Run the notebook, talk to the bot in its chat box, and save what is seen then."""
    from playwright.sync_api import sync_playwright

    from tests.test_jupyterlab import Lab, Visit, notebook_of

    lab = Lab(folder)
    process = lab.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium(), args=["--no-sandbox", "--disable-background-networking"]
            )
            visit = Visit(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), lab)
            visit.run(notebook_of(*CELLS), "first_bot.ipynb")
            visit.page.locator(".sbk-chat input").first.click()
            for words, answer in TALK:
                visit.page.keyboard.type(words)
                visit.page.keyboard.press("Enter")
                visit.page.wait_for_function(
                    f"() => document.querySelector('.sbk-log')?.innerText.includes({answer!r})"
                )
            visit.page.screenshot(path=PICTURE)
            browser.close()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def main() -> int:
    """Take it, or say why not."""
    folder = Path(tempfile.mkdtemp())
    if chromium() is None or find_spec("playwright") is None:
        print("NOT RUN  the picture of the README: apt-get install chromium")
        return 0
    try:
        take(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{PICTURE.relative_to(ROOT)} is new; look at it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
