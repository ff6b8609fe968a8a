"""A notebook without a front end: IPython's own shell, whose cells run in the loop of the test.

notebook = Notebook()
await notebook.cell("%load_ext sessionbot_kit")
await notebook.cell("x = 1\\nx + 1")          # -> 2
"""

from typing import Any

from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from sessionbot_kit.bot import roster


class Notebook:
    """Cells, and what they come to."""

    def __init__(self) -> None:
        InteractiveShell.clear_instance()
        shell: Any = InteractiveShell.instance()
        self.shell = shell
        self.shell.history_manager.enabled = False
        self.shell.run_line_magic("load_ext", "sessionbot_kit")
        self.printed = ""

    async def cell(self, text: str) -> Any:
        """Run a cell as the Jupyter kernel does; its result, or the error that it raises."""
        transformed = self.shell.transform_cell(text)
        with capture_output() as captured:
            done = await self.shell.run_cell_async(text, transformed_cell=transformed)
        self.printed = captured.stdout
        if done.error_before_exec is not None:
            raise done.error_before_exec
        if done.error_in_exec is not None:
            raise done.error_in_exec
        return done.result

    async def plugin(self, name: str, body: str) -> Any:
        """Run a cell that makes a plugin."""
        return await self.cell(f"%%plugin {name}\n{body}")

    def tab(self, line: str) -> list[str]:
        """What is offered at the end of a line."""
        with provisionalcompleter():
            return [one.text for one in self.shell.Completer.completions(line, len(line))]

    @property
    def names(self) -> dict[str, Any]:
        names: dict[str, Any] = self.shell.user_ns
        return names

    async def close(self) -> None:
        for bot in roster.running():
            await bot.stop()
        self.shell.history_manager.end_session()
        InteractiveShell.clear_instance()
