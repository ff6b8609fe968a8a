"""Settings: who wins, what is misspelled, and what is never shown."""

import ast
import logging
import os
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sessionbot_kit
from sessionbot_kit.errors import SettingsError
from sessionbot_kit.sections import Courier
from sessionbot_kit.settings import Settings

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def quiet_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, and an environment that says nothing."""
    for variable in list(os.environ):
        if variable.upper().startswith("SESSIONBOT_") or variable == "ROOT_DIR":
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "sessionbot.yml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def fault(**arguments: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(**arguments)
    shown = "".join(traceback.format_exception(caught.value))
    assert "pydantic" not in shown.lower().replace("pydantic_settings", "")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def shown(settings: Settings) -> dict[str, str]:
    return {row.name: row.value for row in settings.rows()}


def sources(settings: Settings) -> dict[str, str]:
    return {row.name: row.source for row in settings.rows()}


def test_the_defaults_work_without_a_file_or_a_variable() -> None:
    settings = Settings()
    assert settings.home == Path("data")
    assert settings.store_url == "sqlite:///data/sessionbot.db"
    assert settings.gateway.host == "127.0.0.1"
    assert set(sources(settings).values()) == {"default"}


def test_every_setting_has_a_description_and_a_default() -> None:
    assert all(row.description for row in Settings().rows())


def test_an_argument_wins_over_the_environment_over_the_file_over_the_default(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("courier: {tries: 2, first_wait_s: 2, longest_wait_s: 2}")
    monkeypatch.setenv("SESSIONBOT_COURIER__TRIES", "3")
    monkeypatch.setenv("SESSIONBOT_COURIER__FIRST_WAIT_S", "3")
    settings = Settings.load(courier={"tries": 4})
    assert settings.courier == Courier(tries=4, first_wait_s=3, longest_wait_s=2)
    assert settings.history_window == 20


def test_each_value_says_who_gave_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("home: here\ncourier:\n  tries: 2\n")
    monkeypatch.setenv("SESSIONBOT_LOG__LEVEL", "debug")
    given = sources(Settings.load(turn_timeout_s=1))
    assert given["turn_timeout_s"] == "argument"
    assert given["log.level"] == "SESSIONBOT_LOG__LEVEL"
    assert given["courier.tries"] == "sessionbot.yml line 3"
    assert given["courier.first_wait_s"] == "default"


def test_a_section_may_be_given_whole() -> None:
    settings = Settings(courier=Courier(tries=3))
    assert settings.courier.tries == 3
    assert sources(settings)["courier.longest_wait_s"] == "argument"


def test_settings_without_a_file_are_asked_for_by_their_name(write: Write) -> None:
    write("turn_timeout_s: 7")
    assert Settings().turn_timeout_s == 30
    assert Settings.load().turn_timeout_s == 7


def test_the_home_moves_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONBOT_HOME", "/srv/bot")
    assert Settings().store_url == "sqlite:////srv/bot/sessionbot.db"


def test_root_dir_is_another_name_for_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT_DIR", "/old")
    assert Settings().home == Path("/old")
    monkeypatch.setenv("SESSIONBOT_HOME", "/new")
    assert Settings().home == Path("/new")


def test_a_home_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/people/ada")
    assert Settings(home="~/bot").home == Path("/people/ada/bot")


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONBOT_TURN_TIMEOUT_S", "")
    assert Settings().turn_timeout_s == 30


def test_the_file_may_be_called_cobot_yml(write: Write) -> None:
    write("turn_timeout_s: 7", "cobot.yml")
    assert Settings.load().turn_timeout_s == 7
    write("turn_timeout_s: 8", "sessionbot.yml")
    assert Settings.load().turn_timeout_s == 8


def test_the_file_may_lie_in_the_home(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("turn_timeout_s: 7", "data/sessionbot.yml")
    write("turn_timeout_s: 8", "other/sessionbot.yml")
    assert Settings.load().turn_timeout_s == 7
    assert Settings.load(home="other").turn_timeout_s == 8
    monkeypatch.setenv("SESSIONBOT_HOME", "other")
    assert Settings.load().turn_timeout_s == 8


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(Settings(), "home", Path("elsewhere"))  # noqa: B010 - a type checker refuses `=`


def test_names_in_a_variable_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONBOT_PLUGINS__ENABLED", "echo, help")
    assert Settings().plugins.enabled == ("echo", "help")


def test_a_section_without_lines_is_an_empty_one(write: Write) -> None:
    write("courier:\nplugins:\n  telegram:\n")
    settings = Settings.load()
    assert settings.courier.tries == 8
    assert settings.plugins.section("telegram") == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"turn_timeout": 5}, "there is no setting turn_timeout; did you mean turn_timeout_s?"),
        ({"tries": 1}, "there is no setting tries; did you mean courier.tries?"),
        ({"courier": {"trys": 1}}, "there is no setting courier.trys; did you mean courier.tries?"),
        ({"zzz": 1}, "there is no setting zzz; `sessionbot config show` lists them all"),
        ({"turn_timeout_s": -5}, "turn_timeout_s should be greater than 0, not -5 (argument)"),
        ({"turn_timeout_s": "nan"}, "turn_timeout_s should be a finite number"),
        ({"courier": 5}, "courier should be a section"),
        ({"plugins": {"telegram": 5}}, "plugins.telegram should be a section"),
        ({"log": {"level": "loud"}}, "log.level should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ({"home": []}, "home should be a path, not [] (argument)"),
        ({"home": 5}, "home should be a path, not 5 (argument)"),
    ],
)
def test_a_wrong_setting_is_one_sentence(arguments: dict[str, Any], sentence: str) -> None:
    assert sentence in fault(**arguments)


def test_a_misspelled_key_in_the_file_names_its_line(write: Write) -> None:
    write("home: x\ncourier:\n  attempts: 3\n  trie: 3\n")
    message = fault()
    assert "sessionbot.yml line 3: there is no setting courier.attempts" in message
    assert "sessionbot.yml line 4: there is no setting courier.trie; did you mean" in message


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SESSIONBOT_TURN_TIMEOUT", "turn_timeout_s"),
        ("SESSIONBOT_COURIER__TRIE", "courier.tries"),
        ("SESSIONBOT_COURIER_TRIES", "courier.tries"),
        ("SESSIONBOT_HOME__DIR", "home"),
    ],
)
def test_a_misspelled_variable_is_refused(
    variable: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "3")
    assert fault().startswith(f"{variable}: there is no setting")
    assert f"did you mean {meant}?" in fault()


def test_a_variable_that_the_file_asks_for_may_have_our_prefix(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("plugins: {telegram: {bot_token: '${SESSIONBOT_TELEGRAM}'}}")
    monkeypatch.setenv("SESSIONBOT_TELEGRAM", "t0psecret")
    assert Settings.load().plugins.section("telegram") == {"bot_token": "t0psecret"}


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONBOT_GATEWAY__PORT", "many")
    assert fault().endswith("not 'many' (SESSIONBOT_GATEWAY__PORT)")


def test_a_section_cannot_be_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SESSIONBOT_COURIER", "3")
    assert "courier should be a section" in fault()


def test_an_unset_variable_names_the_key(write: Write) -> None:
    write("plugins:\n  telegram:\n    bot_token: ${NO_SUCH_TOKEN}\n")
    assert "plugins.telegram.bot_token (sessionbot.yml line 3)" in fault()


def test_a_missing_file_is_one_sentence() -> None:
    assert fault(path="gone.yml").startswith("gone.yml cannot be read: No such file")


def test_a_folder_instead_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    assert fault(path=tmp_path).endswith(
        "cannot be read: Is a directory; check the path and its rights"
    )


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_bytes(b"a: \xff")
    assert "bad.yml is not UTF-8 text at byte 3" in fault(path="bad.yml")


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "bom.yml").write_bytes(b"\xef\xbb\xbfhome: x\n")
    assert Settings.load("bom.yml").home == Path("x")


SECRETIVE = """
store_url: postgresql://bot:${DB_PASSWORD}@db/bot
plugins:
  telegram:
    bot_token: plain-in-file
    webhook: ${HOOK_URL}
    nested: {api_key: deep-in-file, groups: [{id: 1, secret: in-a-list}]}
"""


@pytest.fixture
def secretive(write: Write, monkeypatch: pytest.MonkeyPatch) -> Settings:
    write(SECRETIVE)
    monkeypatch.setenv("DB_PASSWORD", "pw-of-db")
    monkeypatch.setenv("HOOK_URL", "from-environment")
    monkeypatch.setenv("SESSIONBOT_PLUGINS__TELEGRAM__ADMIN", "by-variable")
    return Settings.load()


SECRETS = {"pw-of-db", "plain-in-file", "from-environment", "deep-in-file", "in-a-list"} | {
    "by-variable"
}


def test_no_secret_is_shown(secretive: Settings, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("settings %s %r", secretive, secretive)
    faces = [repr(secretive), str(secretive), str(secretive.rows()), caplog.text]
    faces += [repr(secretive.plugins), repr(secretive.plugins.model_extra)]
    assert [secret for secret in SECRETS for face in faces if secret in face] == []


def test_masked_values_are_marked(secretive: Settings) -> None:
    rows = shown(secretive)
    assert rows["store_url"] == "postgresql://bot:***@db/bot"
    assert rows["plugins.telegram.bot_token"] == "***"
    assert rows["plugins.telegram.nested.groups"] == '[{"id": 1, "secret": "***"}]'


def test_a_plugin_is_given_its_secrets(secretive: Settings) -> None:
    section = secretive.plugins.section("telegram")
    assert section["webhook"] == "from-environment"
    assert section["nested"]["groups"][0]["secret"] == "in-a-list"
    assert secretive.plugins.section("discord") == {}


def test_all_secrets_are_known_to_those_who_blot_them_out(secretive: Settings) -> None:
    assert secretive.secrets() == SECRETS


def test_an_error_does_not_show_what_the_environment_gave(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("gateway: {port: '${TOKEN}'}\nplugins: {telegram: '${TOKEN}'}")
    monkeypatch.setenv("TOKEN", "t0psecret")
    message = fault()
    assert "gateway.port should be a valid integer" in message
    assert "plugins.telegram should be a section" in message
    assert "t0psecret" not in message


def test_a_value_that_is_no_unicode_can_still_be_shown(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("home: ${FOLDER}")
    monkeypatch.setenv("FOLDER", os.fsdecode(b"caf\xe9"))
    assert shown(Settings.load())["home"] == "caf\N{REPLACEMENT CHARACTER}"


def test_settings_travel_to_another_process(secretive: Settings) -> None:
    copy = pickle.loads(pickle.dumps(secretive))
    assert copy == secretive
    assert copy.rows() == secretive.rows()


ROOMS = sorted(Path(sessionbot_kit.__file__).parent.rglob("*.py"))


def test_only_doors_look_at_the_environment() -> None:
    looking = {
        room.stem
        for room in ROOMS
        for node in ast.walk(ast.parse(room.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ"
    }
    # logs: NO_COLOR; lab: passes it on; commands: a recovery phrase is given to a command alone;
    # sources: where plugins that were written for session_bot look themselves
    assert looking <= {"settings", "logs", "lab", "commands", "gateway_commands", "sources"}


def test_the_file_may_end_in_yaml_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sessionbot.yaml").write_text("turn_timeout_s: 7\n")
    assert Settings.load().turn_timeout_s == 7


def test_two_files_of_which_one_would_be_ignored_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("sessionbot.yml", "sessionbot.yaml"):
        (tmp_path / name).write_text("turn_timeout_s: 7\n")
    with pytest.raises(SettingsError, match=r"sessionbot.yml and sessionbot.yaml, and only one"):
        Settings.load()
