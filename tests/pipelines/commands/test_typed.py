"""Errors name what the user typed: the option, not the key of the configuration that it stands for."""

import pytest

from spikeseg.errors import InputError
from spikeseg.pipelines.commands import COMMANDS
from spikeseg.pipelines.commands.options import Request
from spikeseg.pipelines.commands.settings import Setting
from spikeseg.pipelines.commands.typed import in_typed_words, typed_words


def settings():
    """Every option of every command that sets a key, by key."""
    return {param.key: param for name in COMMANDS for param in COMMANDS[name].params if isinstance(param, Setting)}


@pytest.mark.parametrize("key", sorted(settings()))
def test_a_value_that_does_not_hold_is_told_by_the_option(key):
    option = settings()[key]
    typed = typed_words([option], {option.name: "?"}, [])
    (word,) = typed.values()
    assert word in option.opts
    with pytest.raises(InputError) as told:
        Request(overrides={key: {"no": "value"}}, typed=typed).load()
    assert str(told.value).startswith(f"{word}: found ") and "overrides" not in str(told.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["prepare", "--dataset", "fils"], "error: --dataset: found 'fils', must be one of"),
        (["prepare", "--set", "data.dataset=fils"], "error: --set data.dataset: found 'fils', must be one of"),
        (["prepare", "--set", "data={dataset: fils}"], "error: --set data: data.dataset: found 'fils', must be one of"),
        (["prepare", "--set", "sedd=1"], "error: --set sedd: unknown key; the nearest is seed"),
        (["train", "--device", "cdua"], "error: --device: 'cdua'; allowed: auto"),
        (["train", "--n-classes", "9999"], "error: --n-classes: found 9999, must be at most 1024"),
        (["evaluate", "--paper", "x"], "error: --paper: 'x', must be one of"),
        (["simulate", "sky", "--duration", "-3"], "error: --duration: found -3.0, must be at least"),
        (["prepare", "--dataset", "files", "--data-root", "nigths"], "nigths: not found; set --data-root to the folder of"),
        (["prepare", "--dataset", "files", "--columns", "a,b"], "error: --columns: "),
    ],
)
def test_what_was_typed_is_told(place, words, told):
    assert told in place.refused(*words)


def test_what_a_file_says_stays_what_it_says(place):
    (place.folder / "mine.yaml").write_text("data: {dataset: fils}\n")
    assert "error: mine.yaml: data.dataset: found 'fils'" in place.refused("prepare", "-c", "mine.yaml", config=False)
    words = {"data.data_root": "--data-root", "device": "--device", "seed": "--set seed"}
    same = ["mine.yaml: data.data_root: found 3, must be text", "the device: it is off", "seed: found 1", "data.data_root_of: x"]
    assert [in_typed_words(message, words) for message in same] == same
    assert (
        in_typed_words("x: check data.data_root, or data.data_root (--data-root).", words)
        == "x: check --data-root, or --data-root."
    )


def test_what_is_not_made_yet_is_told_with_the_command_line_that_makes_it(place):
    words = ["--set", "seed=7", "--set", "simulate.recordings=3", "--set", "simulate.duration_s=0.5"]
    told = place.refused("train-layer", "conv3", "--name", "mine", *words)
    repeated = f"-c tiny.yaml {' '.join(words)}"
    assert told.endswith(f"run `spikeseg prepare {repeated}` first")  # which knows no --name
    place.ok("prepare", *words)
    told = place.refused("train-layer", "conv3", "--name", "mine", *words)
    assert told.endswith(f"run `spikeseg train-layer conv2 --name mine {repeated}` first")
    told = place.refused("train-layer", "motoin", *words)
    assert "LAYER: found 'motoin', must be one of conv1, conv2, conv3, motion; nearest: motion" in told


def test_an_option_of_two_names_is_told_by_the_one_that_was_typed():
    hulk = next(param for param in COMMANDS["detect"].params if param.name == "hulk")
    assert typed_words([hulk], {"hulk": False}, []) == {"tracking.hulk": "--no-hulk"}
    assert typed_words([hulk], {"hulk": True}, ["seed"]) == {"seed": "--set seed", "tracking.hulk": "--hulk"}
