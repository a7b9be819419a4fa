"""The command line itself: help, options, usage errors."""

import re
import subprocess
import sys
import warnings

import pytest
from click.testing import CliRunner

from spikeseg.config.load import load_config
from spikeseg.ops.device import network_device
from spikeseg.pipelines import commands
from spikeseg.pipelines.cli import main
from spikeseg.pipelines.commands.options import Request

COMMANDS = tuple(name for name in commands.COMMANDS if name != "cache")  # a group of its own
COMMON = (
    *("--config", "--set", "--paper", "--output", "--device", "--seed", "--jobs", "--log-level", "--force", "--debug"),
    *("--quiet", "--verbose"),
)
TITLES = ["Options", "Sky", "Recordings", "Configuration", "Running", "Messages"]
"""Of options in help, in their order."""


def run(*words: str):
    return CliRunner().invoke(main, list(words))


def test_the_commands_are_there_and_the_help_shows_the_chain():
    said = run("--help").output
    sections = re.findall(r"^(\w.*):\n((?:  .*\n)+)", said, re.MULTILINE)
    listed = {title: [line.split()[0] for line in rows.splitlines()] for title, rows in sections}
    assert {title: tuple(names) for title, names in listed.items() if title not in ("Examples", "Options")} == commands.SECTIONS
    assert sorted(name for names in commands.SECTIONS.values() for name in names) == sorted(commands.COMMANDS)
    assert all(f"  spikeseg {command}\n" in said for command in ("demo", "detect night.raw", "info night.raw"))


@pytest.mark.parametrize("words", [(), ("cache",)])
def test_a_group_alone_shows_its_help_and_ends_with_0(words):
    said = run(*words)
    assert said.exit_code == 0 and said.output == run(*words, "--help").output
    assert f"Usage: {' '.join(['spikeseg', *words])} [OPTIONS] COMMAND" in said.output.replace("Usage: main", "Usage: spikeseg")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_begins_with_examples_and_shows_a_command_s_own_options_first(command):
    said = run(command, "--help").output
    titles = re.findall(r"^(\w+):$", said, re.MULTILINE)
    assert titles == ["Examples", *(title for title in TITLES if title in titles)] and {"Options", "Running"} <= set(titles)
    own, _, shared = said.partition("\nConfiguration:\n")
    assert " --config " in shared and " --config " not in own and "Example:" not in said
    examples = own.partition("Examples:\n")[2].partition("\n\n")[0].splitlines()
    assert all(line.startswith("  ") and (line.startswith("  # ") or "spikeseg " in line) for line in examples)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands_options_and_files(monkeypatch, shell):
    def completed(*words):
        monkeypatch.setenv("COMP_WORDS", " ".join(["spikeseg", *words]))
        monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words)))
        monkeypatch.setenv("_SPIKESEG_COMPLETE", f"{shell}_complete")
        return CliRunner().invoke(main, prog_name="spikeseg", complete_var="_SPIKESEG_COMPLETE").output

    assert "compare" in completed("comp") and "--full" in completed("demo", "--fu")
    for words in (("detect", "ni"), ("info", "ni"), ("train", "--config", "ni"), ("prepare", "-o", "ni"), ("compare", "ni")):
        assert "file" in completed(*words), words
    monkeypatch.setenv("_SPIKESEG_COMPLETE", f"{shell}_source")
    assert "_spikeseg_completion" in CliRunner().invoke(main, prog_name="spikeseg", complete_var="_SPIKESEG_COMPLETE").output


def test_quiet_says_nothing_but_results_and_verbose_why(place):
    rows = "".join(f"{1000 * k},{k % 16},{k % 12},{k % 2}\n" for k in range(300))
    (place.folder / "night.csv").write_text(f"t,x,y,p\n{rows}")
    words = ("prepare", "--dataset", "files", "--data-root", "night.csv", "--set", "data.test_ratio=0.0")
    said = place(*words, "-v")
    assert re.search(r"^stage prepare: runs into data_cache/frames/\w+ \(not there yet\)$", said.stderr, re.MULTILINE)
    assert "configuration: tiny.yaml; changed: data.dataset=files, " in said.stderr.replace("data.test_ratio=0.0, ", "")
    assert said.stdout.startswith("wrote data_cache/frames/")
    again = place(*words, "--verbose")
    assert re.search(r"^stage prepare: up to date in data_cache/frames/\w+$", again.stderr, re.MULTILINE)
    assert "stage" not in place(*words).stderr
    quiet = place(*words, "-q")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert "error: " in place("prepare", "-q", "--set", "nonsense=1").stderr
    for both in (["-q", "-v"], ["-q", "--log-level", "INFO"]):
        assert place("prepare", *both).exit_code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_an_example_and_takes_the_common_options(command):
    said = run(command, "--help").output
    assert "Example" in said and f"spikeseg {command}" in said.partition("Example")[2]
    assert all(f"{option} " in said for option in COMMON)


def test_common_options_mean_the_same_everywhere():
    names = [option.lstrip("-").replace("-", "_") for option in COMMON if option not in ("--output", "--set")]
    for name in [*names, "pairs"]:
        options = [next(p for p in commands.COMMANDS[command].params if p.name == name) for command in COMMANDS]
        assert len({(tuple(o.opts), o.help, str(o.type), o.multiple, o.is_flag) for o in options}) == 1, name


def test_train_takes_its_flags():
    flags = {flag for param in commands.COMMANDS["train"].params for flag in param.opts}
    assert {"-c", "-o", "-n", "-r", "--name", "--resume", "--epochs", "--n-classes", "--no-tensorboard", "--data-root"} <= flags


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-command"],
        ["prepare", "--no-such-option"],
        ["train", "--epochs", "many"],
        ["train", "--epochs", "0"],
        ["train-layer"],
        ["detect"],
        ["evaluate", "--mode", "nonsense"],
        ["simulate"],
        ["simulate", "a", "--output", "b"],
    ],
)
def test_wrong_usage_ends_with_2(words):
    assert run(*words).exit_code == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--set", "data.n_timestep=3"], "data.n_timestep: unknown key; the nearest is data.n_timesteps"),
        (["--set", "data.n_timesteps"], "must be KEY=VALUE"),
        (["--set", "data.n_timesteps=0"], "data.n_timesteps: found 0, must be at least 1"),
        (["-c", "nowhere.yaml"], "nowhere.yaml: no such configuration file"),
        (["--paper", "nobody1999"], "paper: 'nobody1999', must be one of igarss2023, kheradpisheh2018"),
        (["--dataset", "unheard-of"], "--dataset: found 'unheard-of', must be one of"),
        (["--device", "gpu"], "device: 'gpu'; allowed: auto, cpu, cuda"),
    ],
)
def test_wrong_configuration_is_one_line_and_3(place, words, told):
    assert told in place.refused("prepare", *words, config="-c" not in words)
    assert [path.name for path in place.folder.iterdir()] == ["tiny.yaml"]


def test_a_mistyped_command_ends_with_2_and_a_suggestion():
    said = run("trian")
    assert said.exit_code == 2 and "No such command 'trian'" in said.output and "Did you mean 'train'?" in said.output


def test_cuda_is_an_error_when_asked_for_by_hand(place, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for words in (["--device", "cuda"], ["--set", "device=cuda"]):
        assert "no such GPU here" in place.refused("train", *words)


@pytest.mark.parametrize("asked", [False, True])
def test_without_a_gpu_there_is_a_warning_only_if_one_was_asked_for(place, monkeypatch, asked):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    lines = (place.folder / "tiny.yaml").read_text().replace("device: cpu\n", "device: cuda\n" if asked else "")
    (place.folder / "tiny.yaml").write_text(lines)
    assert load_config(place.folder / "tiny.yaml").device == ("cuda" if asked else "auto")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        device = network_device(Request(config=str(place.folder / "tiny.yaml")).load().device, "auto")
    assert device.type == "cpu"
    assert [str(w.message) for w in told] == ["device cuda: no such GPU here; running on the CPU"] * asked


def test_a_run_that_was_trained_before_auto_asks_for_no_gpu():
    stored = load_config("demo", {"device": "cuda"})
    assert Request().load(stored).device == "auto" and Request(overrides={"seed": 3}).load(stored).device == "auto"
    assert Request().load(load_config("demo", {"device": "cpu"})).device == "cpu"


def test_debug_shows_where(place):
    result = place("prepare", "--debug", "--set", "nonsense=1")
    assert result.exit_code == 3 and "Traceback" in result.stderr


def test_interrupted_is_130_and_leaves_nothing(place, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spikeseg.simulation.recordings.simulate_recording", interrupt)
    result = place("prepare")
    assert result.exit_code == 130 and result.stderr.splitlines()[-1] == "interrupted"
    left = [path.name for path in (place.folder / "data_cache").rglob("*") if not path.name.endswith(".lock")]
    assert sorted(left) == ["frames", "simulated"]


def test_module_runs_as_the_command():
    done = subprocess.run([sys.executable, "-m", "spikeseg", "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: spikeseg [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["prepare", "-c", ""], "--config: is empty"),
        (["prepare", "--data-root", ""], "--data-root: is empty"),
        (["prepare", "--output", ""], "--output: is empty"),
        (["prepare", "--dask", ""], "--dask: is empty"),
        (["detect", ""], "recordings: is empty"),
        (["evaluate", "--threshold", "nan"], "--threshold: found nan, must be a number"),
        (["simulate", "out", "--kind", "limit", "--speed", "nan", "4"], "--speed: found nan, must be a number"),
        (["train", "--resume", ""], "--resume: is empty"),
        (["train", "--resume", "nowhere"], "--resume nowhere: no such run or checkpoint"),
        (["train-layer", "conv2", "--resume", "folder"], "--resume folder: holds no checkpoints/checkpoint_latest.pt"),
        (["prepare", "--output", "tiny.yaml"], "--output tiny.yaml: is a file; name a folder"),
        (["train", "--output", "tiny.yaml/runs"], "tiny.yaml is a file, no folder"),
        (["evaluate", "--output", "folder"], "--output folder: is a folder; name a file in it"),
        (["info", "tiny.yaml", "--json", "folder"], "--json folder: is a folder; name a file in it"),
        (["prepare", "--output", "n" * 300], "file name too long"),
    ],
)
def test_what_can_be_told_before_work_is(place, words, told):
    (place.folder / "folder").mkdir()
    assert told in place.refused(*words, config="-c" not in words)
    assert sorted(path.name for path in place.folder.iterdir()) == ["folder", "tiny.yaml"]


def test_an_empty_path_of_a_network_is_not_the_current_folder():
    for words in (("detect", "--checkpoint", "", "a.csv"), ("classes", ""), ("simulate", "")):
        said = run(*words)
        assert said.exit_code == 2 and "is empty" in said.output


def test_a_backend_that_is_not_there_is_refused_before_anything_is_prepared(place, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    tiny = (place.folder / "tiny.yaml").read_text()
    (place.folder / "cuda.yaml").write_text(tiny.replace("device: cpu\n", "device: cuda\n") + "backend: cuda\n")
    assert "backend: cuda needs a GPU" in place.refused("prepare", "--backend", "cuda")
    for words in (["prepare"], ["train"], ["train-layer", "conv2"], ["evaluate"], ["classify"], ["cross-validate"]):
        said = place(*words, "-c", "cuda.yaml", config=False)
        assert said.exit_code == 3 and said.stderr.count("\n") == 1, said.stderr  # nothing is warned of before
        assert "backend: cuda needs a GPU, but there is none here" in said.stderr and "use backend: auto" in said.stderr
    assert sorted(path.name for path in place.folder.iterdir()) == ["cuda.yaml", "tiny.yaml"]
    place.ok("status", "-c", "cuda.yaml", config=False)  # which runs no network


def test_frames_that_do_not_fit_the_memory_are_refused_before_anything_is_simulated(place):
    words = [word for key in ("n_timesteps=4096", "input_height=8192", "input_width=8192") for word in ("--set", f"data.{key}")]
    assert "may take 1024.2 GiB" in place.refused("prepare", *words, "--set", "data.normalize=true").replace("2048.2", "1024.2")
    assert [path.name for path in place.folder.iterdir()] == ["tiny.yaml"]


def test_a_folder_for_simulated_recordings_is_said_to_be_read(place):
    (place.folder / "mine").mkdir()
    (place.folder / "mine" / "a.csv").write_text("t,x,y,p\n1,2,3,1\n")
    result = place("prepare", "--data-root", "mine")
    assert result.exit_code == 3 and "name --dataset files" in result.stderr
    assert "nothing is simulated" in result.stderr
