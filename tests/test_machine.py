"""What is said of tests that need something the machine lacks."""

from pathlib import Path

import pytest

from tests.machine import NEEDS, Need, missing_needs

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.timeout(300)  # each starts another pytest

ROOT = Path(__file__).parents[1]
CONFTEST = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests import machine
machine.NEEDS = {{
    "python": machine.Need("tests of nothing", lambda: True, "nothing"),
    "moon": machine.Need("moon tests", lambda: False, "apt-get install moon"),
}}
from tests.machine import pytest_collection_modifyitems, pytest_unconfigure
def pytest_configure(config):
    config.addinivalue_line("markers", "needs(*names): needs something")
"""
TESTS = """
import pytest
@pytest.mark.needs("moon", "python")
def test_needs_the_moon(): assert False
@pytest.mark.needs("moon")
def test_needs_it_too(): assert False
@pytest.mark.needs("python")
def test_needs_what_is_there(): pass
"""


def test_a_test_whose_need_is_missing_is_left_out_and_named_last(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    result.assert_outcomes(passed=1, deselected=2)
    assert result.outlines[-1] == "NOT RUN: moon tests (2) - apt-get install moon"


def test_what_is_not_missing_is_not_mentioned(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("def test_needs_nothing(): pass")
    result = pytester.runpytest_subprocess("-p", "no:randomly")
    assert "NOT RUN" not in result.stdout.str()


def test_a_need_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(pytest.UsageError, match="no need is called 'sun'"):
        missing_needs(("sun",))


@pytest.mark.parametrize("need", NEEDS.values(), ids=NEEDS)
def test_every_need_says_what_and_how(need: Need) -> None:
    assert need.what.endswith("tests") or need.what.startswith("tests ")
    assert "install" in need.remedy
    assert isinstance(need.is_there(), bool)
