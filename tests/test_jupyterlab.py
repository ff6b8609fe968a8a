"""Every notebook in a real JupyterLab, in a real browser, without the network."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from checks.files import project_files
from tests.machine import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = [pytest.mark.needs("chromium", "playwright"), pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = [path for path in project_files(ROOT, ".ipynb") if path.is_relative_to(FOLDER)]
START_S = 60
# No question about news; and cells stay in the page when they scroll out of sight.
SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
RUN_MS = 40_000

# A cell that is not done waits, runs, or was never asked for; after one that fails, none is.
DONE = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    if (panel?.sessionContext?.session?.kernel?.status !== 'idle') return false;
    const cells = panel.content.widgets
        .filter(cell => cell.model.type === 'code' && cell.model.sharedModel.getSource().trim());
    return cells.every(cell => cell.model.executionCount != null
            && !cell.node.querySelector('.jp-InputPrompt')?.textContent.includes('*'))
        || cells.some(cell => !cell.model.metadata.tags?.includes('raises-exception')
            && cell.model.outputs.toJSON().some(output => output.output_type === 'error'));
}"""
FAILED = """() => window.jupyterapp.shell.currentWidget.content.widgets
    .filter(cell => cell.model.type === 'code'
        && !cell.model.metadata.tags?.includes('raises-exception'))
    .flatMap(cell => cell.model.outputs.toJSON())
    .filter(output => output.output_type === 'error').map(output => output.evalue)"""
BUSY = """() =>
    window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"""
ASK = """async code => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const asked = kernel.requestExecute({code});
    let said = '';
    asked.onIOPub = message => {
        const content = message.content;
        said += content.text || content.evalue || content.data?.['text/plain'] || '';
    };
    await asked.done;
    return said;
}"""
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
LOADED = """() => window.jupyterapp?.shell.currentWidget?.content?.widgets?.length > 0
    && window.jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.status === 'idle'"""


@dataclass
class Lab:
    """JupyterLab on loopback, with folders of its own, and what it said."""

    folder: Path
    said: list[str] = field(default_factory=list)
    url: str = ""

    def start(self) -> subprocess.Popen[str]:
        """Start the server and wait until it says where it is."""
        places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        env = os.environ | {f"JUPYTER_{name}": str(self.folder / name) for name in places}
        env |= {
            f"JUPYTERLAB_{name}_DIR": str(self.folder / name) for name in ("SETTINGS", "WORKSPACES")
        }
        (self.folder / "notebooks").mkdir()
        for name, setting in SETTINGS.items():
            path = self.folder / "SETTINGS" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(setting))
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"),
                *("--ServerApp.ip=127.0.0.1", "--IdentityProvider.token=let-me-in"),
                *("--LabApp.news_url=", "--allow-root"),
                f"--ServerApp.root_dir={self.folder / 'notebooks'}",
            ],
            env=env | {"IPYTHONDIR": str(self.folder / "ipython"), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(process, ready), daemon=True).start()
        assert ready.wait(START_S), "".join(self.said)
        return process

    def _listen(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.said.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    self.url = found[0]
                    ready.set()
        ready.set()

    def notebook(self, notebook: Any, name: str) -> str:
        """Save a notebook where the server finds it, without outputs; return its address."""
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, self.folder / "notebooks" / name)
        return f"{self.url}/lab/workspaces/test/tree/{name}?token=let-me-in&reset"


@dataclass
class Visit:
    """A page, and what went wrong or out of the machine on it."""

    page: "Page"
    lab: Lab
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(RUN_MS)
        self.page.on("console", self._note)
        self.page.route("**/*", self._guard)

    def run(self, notebook: Any, name: str) -> None:
        """Open a notebook and run all of its cells."""
        self.page.goto(self.lab.notebook(notebook, name))
        self.page.wait_for_function(LOADED)
        self.run_all()
        self.page.wait_for_function(DONE)

    def run_all(self) -> None:
        """Press *Run All*, and wait for nothing."""
        self.page.evaluate(
            "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
        )

    def ask(self, code: str) -> str:
        """Run code as a cell that nobody sees; what it says."""
        said: str = self.page.evaluate(ASK, code)
        return said

    def outputs(self) -> str:
        """Read all outputs as a person sees them."""
        return "\n".join(self.page.locator(".jp-OutputArea-output").all_inner_texts())

    def _note(self, message: Any) -> None:
        # Of a picture that is attached, JupyterLab asks for the name before it has the bytes.
        attached = message.location.get("url", "").startswith("attachment:")
        if message.type == "error" and not attached:
            self.errors.append(message.text)

    def _guard(self, route: "Route") -> None:
        url = route.request.url
        if url.startswith((self.lab.url, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    process = lab.start()
    try:
        yield lab
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(),
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(lab: Lab, browser: "Browser") -> "Iterator[Visit]":
    page = browser.new_page()
    yield Visit(page, lab)
    page.close()


def notebook_of(*sources: str) -> Any:
    """Make a notebook of code cells."""
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(one) for one in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )


def saved_lines(notebook: Any) -> list[str]:
    """List the first line of each saved text output."""
    texts = [
        output.get("text") or output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "text/html" not in output.get("data", {})
    ]
    return [text.strip().splitlines()[0] for text in texts if text.strip()]


def test_a_notebook_runs_with_no_error_and_without_the_network(
    visit: Visit, tmp_path: Path
) -> None:
    visit.run(notebook_of("answer = 6 * 7", "print('the answer is', answer)"), "tiny.ipynb")
    assert "the answer is 42" in visit.outputs()
    assert (visit.outside, visit.errors) == ([], [])
    shot = tmp_path / "tiny.png"
    visit.page.screenshot(path=shot)
    assert shot.stat().st_size > 10_000


def test_a_request_to_the_outside_is_stopped_and_noticed(visit: Visit) -> None:
    image = "from IPython.display import HTML\nHTML('<img src=\"http://example.invalid/a.png\">')"
    visit.run(notebook_of(image), "outside.ipynb")
    assert visit.outside == ["http://example.invalid/a.png"]


def test_a_cell_that_fails_is_seen_and_ends_the_run(visit: Visit) -> None:
    visit.run(notebook_of("1 / 0", "print('never')"), "fails.ipynb")
    assert "ZeroDivisionError" in visit.outputs()


@pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[path.relative_to(FOLDER).as_posix() for path in NOTEBOOKS]
)
def test_run_all_shows_in_jupyterlab_what_is_saved(visit: Visit, path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    expected = saved_lines(notebook)
    assert len(expected) > 2  # there is something to compare
    visit.run(notebook, path.name)
    shown = visit.outputs()
    assert visit.page.evaluate(FAILED) == []
    assert [line for line in expected if line not in shown] == []
    assert (visit.outside, visit.errors) == ([], [])


START = """%load_ext sessionbot_kit
from sessionbot_kit import Bot
bot = await Bot().start(listen={})"""
GREET = """%%plugin greet
from sessionbot_kit import plugin

@plugin("!greet")
async def greet(message):
    return "version {}"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_plugin_is_swapped_between_two_answers(visit: Visit) -> None:
    say = "%say ada !greet"
    visit.run(
        notebook_of(START.format(0), GREET.format(1), say, GREET.format(2), say), "swap.ipynb"
    )
    shown = visit.outputs()
    assert "['version 1']" in shown
    assert "['version 2']" in shown
    assert visit.ask(say) == "['version 2']"


def test_an_interrupt_ends_the_cell_and_not_the_bot(visit: Visit) -> None:
    wait = "import asyncio\nawait asyncio.sleep(600)"
    visit.run(notebook_of(START.format(0), GREET.format(1)), "interrupt.ipynb")
    visit.page.evaluate(
        "code => { window.asked = " + KERNEL + ".requestExecute({code}).done; }", wait
    )
    visit.page.wait_for_function(BUSY)
    visit.page.evaluate("async () => { await " + KERNEL + ".interrupt(); await window.asked; }")
    assert visit.ask("%say ada !greet") == "['version 1']"


def test_a_restart_frees_the_port_and_run_all_works_again(visit: Visit) -> None:
    cells = START.format(free_port()), GREET.format(1), "%say ada !greet"
    visit.run(notebook_of(*cells), "restart.ipynb")
    assert "['version 1']" in visit.outputs()
    visit.page.evaluate("async () => { await " + KERNEL + ".restart(); }")
    visit.page.wait_for_function(LOADED)
    assert "NameError" in visit.ask("try: bot\nexcept NameError as error: print(repr(error))")
    visit.run_all()
    visit.page.wait_for_function(DONE)
    assert visit.page.evaluate(FAILED) == []
    assert visit.ask("%say ada !greet") == "['version 1']"
