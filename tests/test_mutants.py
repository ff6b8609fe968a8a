"""How many changes of a module the tests of its name notice."""

from pathlib import Path

from checks.mutants import NOTICED, Score, files_of_tests, path_of


def test_a_score_is_a_share_of_the_changes() -> None:
    assert str(Score("routes.py", 40, 30)).endswith("30 of    40 noticed   75.0 %")
    assert str(Score("empty.py", 0, 0)).endswith("nothing to change")


def test_a_bare_name_is_a_module_of_the_package() -> None:
    assert path_of("routes") == path_of("sessionbot_kit/routes.py")
    assert path_of("sessionbot_kit/routes.py") == Path("sessionbot_kit", "routes.py")


def test_a_module_is_judged_by_the_tests_of_its_name() -> None:
    assert "tests/test_routes.py" in files_of_tests("sessionbot_kit/routes.py")
    assert files_of_tests("sessionbot_kit/nobody.py") == []


def test_a_change_without_a_test_or_without_an_end_is_not_noticed() -> None:
    assert {"survived", "no tests", "suspicious", "not checked"}.isdisjoint(NOTICED)
