"""Options that stand for a key of the configuration: their choices, the defaults that help shows, the next command's words."""

import re

import click
import pytest

from spikeseg.config import load_config
from spikeseg.pipelines.commands import COMMANDS
from spikeseg.pipelines.commands.info import hot_frequency
from spikeseg.pipelines.commands.options import Request
from spikeseg.pipelines.commands.settings import ConfigOption, Setting, choices_of
from spikeseg.pipelines.stages.answers import ALL
from spikeseg.pipelines.stages.follow import IDLE_S
from spikeseg.pipelines.stages.sweep import SPLITS
from spikeseg.simulation.camera_noise import KINDS as NOISE_KINDS
from spikeseg.simulation.limit import FIELDS
from spikeseg.simulation.scenes import CONDITIONS
from spikeseg.simulation.write import FORMATS

DEMO = load_config("demo")
OF_ANOTHER_CONFIGURATION = {
    "classes", "classify", "compare", "detect", "diagnose", "evaluate", "export", "plot", "report", "reproduce", "sweep",
    "systematic", "watch",
}  # fmt: skip
"""Commands where, without a configuration, not the demo's holds."""


def every_option() -> list[tuple[str, click.Option, str]]:
    """(command, option, its help as shown) of all commands."""
    named = [(name, COMMANDS[name]) for name in COMMANDS if name != "cache"]
    named += [(f"cache {name}", command) for name, command in COMMANDS["cache"].commands.items()]
    options = []
    for name, command in named:
        ctx = click.Context(command, info_name=name)
        options += [(name, p, p.get_help_record(ctx)[1]) for p in command.params if isinstance(p, click.Option)]
    return options


def shown_default(text: str) -> str | None:
    """What a help text shows as default."""
    found = re.search(r"\[default: (.*?)(; [x0-9].*)?\]$", text)
    return found[1] if found else None


def right_default(command: str, option: click.Option) -> str | None:
    """The default that the option's help has to show."""
    if isinstance(option, Setting):
        section, _, key = option.key.rpartition(".")
        value = getattr(getattr(DEMO, section) if section else DEMO, key)
        if isinstance(value, bool):
            value = ("no", "yes")[value] if option.secondary_opts else None
        return None if value is None or command in OF_ANOTHER_CONFIGURATION else f"(demo: {value})"
    if isinstance(option, ConfigOption):
        return None if command in OF_ANOTHER_CONFIGURATION else "(demo)"
    if option.name == "hot":
        return f"(the configuration's DropPixel, demo: {hot_frequency(DEMO):g})"
    default = ", ".join(map(str, option.default)) if option.multiple and option.show_default else str(option.default)
    return default if option.show_default else None


def test_no_help_states_a_default_that_is_not_the_demos():
    for command, option, text in every_option():
        assert shown_default(text) == right_default(command, option), (command, option.name)


def test_no_default_stands_in_a_help_text_by_hand_but_those_that_no_configuration_has():
    brackets = {(option.name, words) for _, option, _ in every_option() for words in re.findall(r"\[(.*?)\]", option.help or "")}
    own = {("speed", "so that it lasts 10 s"), ("plot_format", "png")}  # of one command, with a default that is no constant
    own |= {("start", "the recording's clock"), ("wcs_time", "as it says, else at the first event"), ("mount", "sidereal")}
    own |= {("site", "UNKNOWN"), ("originator", "UNKNOWN")}
    own |= {("output", "NAME.nir"), ("kind", "what its name ends in, else nir"), ("background", "as trained")}
    own |= {("size", "the configuration's, or 240x180; --fit: 64x64")}
    own |= {("split", "test; by a protocol: all")}
    assert brackets == {("network", "newest run's"), ("modes", "all"), ("output", "the run's"), *own}


def test_epochs_are_those_of_the_demo():
    texts = {command: text for command, option, text in every_option() if option.name == "epochs"}
    assert set(texts) == {"train", "train-layer", "cross-validate"}
    assert all("[default: (demo: 20); x>=1]" in text for text in texts.values())


def test_choices_are_those_that_the_configuration_allows():
    with_choices = [option for _, option, _ in every_option() if isinstance(option, Setting) and hasattr(option.type, "choices")]
    assert {option.key for option in with_choices} >= {"backend", "logging.log_level", "simulate.difficulty", "simulate.sensor"}
    for option in with_choices:
        assert list(option.type.choices) == list(choices_of(option.key).choices)
    assert list(choices_of("data.sensor").choices) == ["ATIS", "DAVIS", "all"]
    (text,) = {text for _, option, text in every_option() if option.name == "dataset" and "default" not in text}
    assert all(name in text for name in choices_of("data.dataset").choices)


@pytest.mark.parametrize(
    ("value", "everywhere", "words"),
    [
        (3, False, ["--set", "seed=3"]),
        (3, True, ["--seed", "3"]),
        (True, True, ["--seed"]),
        (True, False, ["--set", "seed=True"]),
    ],
)
def test_the_next_command_is_given_the_same_value(value, everywhere, words):
    assert Setting(["--seed", "-s"], key="seed", everywhere=everywhere).repeated(value) == words


def test_a_configuration_is_meant_by_what_changes_results():
    assert not Request(overrides={"device": "cpu", "data.num_workers": 2, "data.lenient": True, "tracking.hulk": True}).configured
    assert Request(overrides={"device": "cpu", "seed": 3}).configured and Request(config="files").configured


def test_what_a_command_repeats_to_start_fast_is_what_the_stages_say():
    options = {(command, option.name): option for command, option, _ in every_option()}
    assert tuple(options["simulate", "format"].type.choices) == FORMATS
    assert list(options["simulate", "noise"].type.choices) == list(NOISE_KINDS)
    assert tuple(options["simulate", "field"].type.choices) == FIELDS
    assert tuple(options["simulate", "conditions"].type.choices) == tuple(CONDITIONS)
    assert tuple(options["sweep", "split"].type.choices) == SPLITS
    assert set(options["evaluate", "split"].type.choices) == {"test", *SPLITS, ALL}
    assert options["evaluate", "camera"].default == ALL and options["detect", "idle"].default == IDLE_S
