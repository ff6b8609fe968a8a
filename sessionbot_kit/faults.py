"""Where in somebody else's code an error was raised, for the one line that a log has.

f"ValueError: no such card{place_of(fault)}"
# -> ValueError: no such card (plugins/tarot.py:12 in draw)
"""

from pathlib import Path

_HOUSE = str(Path(__file__).parent)


def place_of(fault: BaseException) -> str:
    """The last line of the plugin's own code, so that a log line leads to the place."""
    trace, place = fault.__traceback__, ""
    theirs = False
    while trace is not None:
        code = trace.tb_frame.f_code
        in_house = code.co_filename.startswith(_HOUSE)
        if not (theirs and in_house):
            place = f" ({code.co_filename}:{trace.tb_lineno} in {code.co_name})"
        theirs = theirs or not in_house
        trace = trace.tb_next
    return place
