"""Every command that README, CONTRIBUTING and docs/ show, as it stands there.

- All are parsed by the command line itself: a command, an option, a value or a key of the configuration that is not there fails.
- All but those of `ELSEWHERE` are executed in a small world: tiny recordings under the names that the text gives, and the tests'
  chain, network and configuration in place of those of the text (`scaled`). What the chain has done already is up to date.
- `ELSEWHERE` names for each of the others the test that executes it.
- The name of a command alone between backticks is no command line; that there is such a command is tested.
- Benchmarks are not run here: their options are parsed. Extras that are installed and targets of make have to be there.
- Code in Python compiles, and what it imports is there; `RUN_BY` names what runs it.
"""

import argparse
import ast
import configparser
import importlib
import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import click
import folder_from_hell as hell
import pytest
from click.testing import CliRunner

from spikeseg.config import load_config, parse_overrides
from spikeseg.pipelines.cli import main
from spikeseg.pipelines.commands import COMMANDS
from spikeseg.pipelines.commands.settings import WITHOUT, Setting
from spikeseg.registries import DATASETS, RULES

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
BUILT_IN = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"(?:^|(?<=[ =/]))(?:spikeseg [a-z]|python benchmarks/|pip install |make [a-z]).*")
"""Where a command line begins: in a unit of systemd, or a table of cron, behind other words."""

ELSEWHERE = {
    "spikeseg classify": ("pipelines/stages/test_classify.py", '"classify"'),
    "spikeseg classes runs/mine --name": ("pipelines/stages/test_classes.py", '"--name", "0=cat"'),
    "spikeseg diagnose": ("pipelines/stages/test_systematic.py", '"diagnose"'),
    "spikeseg systematic": ("pipelines/stages/test_systematic.py", '"systematic"'),
    "spikeseg cross-validate": ("pipelines/stages/test_cross_validate.py", '"cross-validate"'),
    "spikeseg demo": ("pipelines/stages/test_demo.py", '"demo"'),
    "spikeseg detect -c files stereo.db3::": ("data/readers/test_rosbag2.py", ".db3"),
    "spikeseg mine": ("recipes/test_packages.py", '"mine"'),
    "spikeseg prepare -c files --dataset tonic:DSEC": ("pipelines/stages/test_tonic.py", '"prepare", "--dataset", "tonic:DSEC"'),
    "spikeseg reproduce": ("pipelines/stages/test_reproduce.py", '"reproduce"'),
    "spikeseg simulate --kind": ("pipelines/stages/test_simulate.py", '"--kind"'),
    "spikeseg report": ("pipelines/stages/test_report.py", '"report"'),
    "spikeseg plot": ("pipelines/stages/test_report.py", '"plot"'),
    "spikeseg sweep": ("pipelines/stages/test_sweep.py", '"sweep"'),
    "spikeseg train-layer motion": ("pipelines/stages/test_train_motion.py", '"train-layer", "motion"'),
    "evaluation.readout=calibrated": ("pipelines/stages/test_sweep.py", "evaluation.readout=calibrated"),
    "stdp.rule=mine": ("recipes/test_packages.py", "stdp.rule=mine"),
    "--dataset mine": ("recipes/test_packages.py", '"--dataset", "mine"'),
    "--per-recording": ("pipelines/commands/test_evaluate_options.py", "--per-recording"),
    "--dask": ("pipelines/runtime/test_dask.py", '"--dask"'),
    "--protocol event-10px": ("pipelines/stages/test_protocol.py", '"evaluate", "--protocol", "event-10px"'),
    "--network nights --dataset": ("pipelines/stages/test_packaged.py", '"evaluate", "--network", "nights"'),
    "--review": ("pipelines/stages/test_views.py", '"--review"'),
    "--video": ("pipelines/stages/test_views.py", '"--video"'),
    "--solve": ("sky/test_observe.py", "solve=True"),
    "--start": ("pipelines/commands/test_sky.py", '"--start"'),
    "--wcs": ("pipelines/commands/test_sky.py", '"--wcs"'),
    "--time-unit ns": ("data/test_times.py", '"ns"'),
}
"""What a command begins with, or holds -> the file of tests that executes the same, and what stands in it."""

RUN_BY = {
    "nights = ss.simulate(": ("pipelines/test_front_door.py", "test_the_example_of_the_readme_runs"),
    "input_events = torch.rand(1, 1, 128, 128": ("pipelines/test_other_implementation.py", '"other-implementation.md"'),
    "learner = STDPLearner(": ("learning/test_programmatic_use.py", "learner = STDPLearner("),
    "detections = detect_recording(": ("detection/test_result.py", "to_table"),
    "chain = tonic.transforms.Compose(": ("data/test_tonic_style.py", "tonic.DiskCachedDataset("),
    "boxes = boxes_of(": ("evaluation/test_boxes.py", "boxes = boxes_of(tracks, events["),
    "request = SkyRequest(": ("sky/test_observe.py", "request = SkyRequest("),
    "rough = gnomonic(": ("sky/test_projection.py", "rough = gnomonic("),
    "graph = nir.read(": ("export/test_documented.py", "docs/export.md"),
    "arrays = np.load(": ("export/test_documented.py", "docs/export.md"),
    "spikes, state = norse.torch.Lift(": ("export/test_documented.py", "docs/export.md"),
    "found = json.load(": ("pipelines/test_documentation.py", "test_what_is_written_is_read_as_shown"),
}
"""Of a block of Python a line -> the same. For CONTRIBUTING's see tests/recipes."""


def text_of(document):
    return (ROOT / document).read_text(encoding="utf-8")


def commands(document, program="spikeseg", *, in_text=True):
    """The words of the command lines of a program that a document shows in blocks and, in its text, in backticks, each once."""
    text = text_of(document)
    blocks = [block.replace("\\\n", " ") for language, block in FENCED.findall(text) if language in ("", "ini")]
    inline = [line for line in re.findall(r"`([^`\n]+)`", FENCED.sub("", text)) if line.count(" ") > 1 or "spikeseg" not in line]
    return commands_in([*"".join(blocks).splitlines(), *(inline if in_text else ())], program)


def commands_in(lines, program):
    """The words of the command lines of a program that lines hold, each once."""
    found = {}
    for part in (part for line in lines for part in re.split(r" && | \| | &(?= |$)", line)):
        if (match := PROGRAM.search(part)) and not re.search(r" [A-Z]+ --help", part):
            words = tuple(shlex.split(match[0], comments=True))
            if words[0] == program:
                found[words] = None
    return list(found)


def parsed(words):
    """The context of a command line, as click makes it; None where it names a command whose arguments or values are left out."""
    context, command, words = main.make_context("spikeseg", list(words[1:]), resilient_parsing=True), main, list(words[1:])
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(context, words)
    try:
        return command.make_context(command.name, words)
    except (click.MissingParameter, click.BadOptionUsage) as error:
        if isinstance(error, click.BadOptionUsage) and "requires an argument" not in str(error):
            raise
        return None


def elsewhere(words):
    """Whether another test executes a command line."""
    line = f"{' '.join(words)} "
    return any(line.startswith(what) or f" {what} " in line for what in ELSEWHERE)


def test_what_is_said_to_be_run_elsewhere_is():
    for what, (test, text) in {**ELSEWHERE, **RUN_BY}.items():
        assert text in (TESTS / test).read_text(encoding="utf-8"), what


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_parses(document, installed_recipes):
    assert {name for name in re.findall(r"`spikeseg ([a-z][a-z-]*)`", text_of(document))} <= {*COMMANDS}
    whole = commands(document, in_text=False)
    for words in commands(document):
        context = parsed(words)
        if context is None:
            assert words not in whole, f"{words}: something is left out"
            continue
        settings = {option.key: context.params[option.name] for option in context.command.params if isinstance(option, Setting)}
        overrides = parse_overrides(context.params.get("pairs", ()))
        overrides |= {key: value for key, value in settings.items() if value is not None}
        config = context.params.get("config") or WITHOUT
        load_config(config if config in BUILT_IN else WITHOUT, overrides=overrides, paper=context.params.get("paper"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_in_help_parses(command):
    shown = COMMANDS[command].help or ""
    assert all(parsed(words) for words in commands_in(shown.splitlines(), "spikeseg"))


@pytest.fixture
def installed_recipes(monkeypatch):
    """The packages of tests/recipes."""
    for folder in ("command", "dataset", "rule"):
        monkeypatch.syspath_prepend(TESTS / "recipes" / folder)
    registries = (COMMANDS, DATASETS, RULES)
    for registry in registries:  # they ask once what is installed
        vars(registry).pop("_entry_points", None)
    yield
    for registry in registries:
        vars(registry).pop("_entry_points", None)


RECORDING = re.compile(r"[\w/.-]*\.(raw|mat|aedat4|mcap|npz|dat)")
INSTEAD = {
    **dict.fromkeys(("FILE", "PATH", "PATH...", "RECORDING"), "night.raw"),
    **{"RUN": "runs/mine", "OUT": "made", "FOLDER": "home/nights", ".": "home/nights", "data.folds=5": "data.folds=2"},
}
"""Words -> what stands for them."""
SMALLER = {"--recordings": "2"}
"""Options -> their values."""
SHORTER = {
    ("simulate", "limit"): ("--duration", "0.5"),
    ("detect", "--follow"): ("--idle", "0"),
    ("evaluate", "--data-root"): ("--mode", "event"),
    ("watch",): ("--once", "--every", "0"),
}
"""Words of a command -> what is added to it."""
OWN = ("info", "classes", "cache", "export")
"""Commands that take no configuration here."""


def scaled(words):
    """A command line for the small world: the tests' configuration, little data, paths below the current folder."""
    command, *given = (INSTEAD.get(word, re.sub("^(~|%h)/", "home/", word)) for word in words[1:])
    given += next((extra for key, extra in SHORTER.items() if {*key} <= {command, *given}), ())
    given = [SMALLER.get(before, word) for before, word in zip(["", *given], given, strict=False)]
    if command in OWN or {"--network", "--checkpoint"} & {*given}:
        return [command, *given]
    if "-c" not in given:
        return [command, "-c", "tiny.yaml", *given]
    at = given.index("-c") + 1
    config = given[at]
    if config in BUILT_IN and command == "detect":
        return [command, *given]
    given[at] = "tiny.yaml"
    return [command, *given, *(["--dataset", config] if config in DATASETS and "--dataset" not in given else [])]


@pytest.fixture(scope="module")
def small(chain):
    """The small world, a folder with what the documents name. ``small(words, monkeypatch)`` executes a command line there; one
    that differs from an earlier one by the recordings and the place of the output alone gives None."""
    folder = chain.folder
    (run,) = (path for path in (folder / "runs").iterdir() if path.is_dir())
    for copy in ("runs/mine", "home/runs/nights"):
        shutil.copytree(run, folder / copy)
    (simulated,) = folder.glob("data_cache/simulated/*/EBSSA")
    shutil.copytree(simulated, folder / "home" / "EBSSA")
    for name in ("nights/night1.mat", "nights/night2.npz", "recordings/walk.aedat4", "incoming/night1.raw"):
        (folder / "home" / name).parent.mkdir(exist_ok=True)
        hell.npz(folder / "home" / name, 1)
    (folder / "home" / "nights" / "night1.labels.csv").write_text("t_us,x,y,id\n100000,5,5,1\n200000,6,5,1\n")
    (folder / "home" / "reviews").mkdir()
    hell.h5(folder / "lab.h5", ("one", "two"))
    rows = [f"{n % 16},{n % 12},1" for n in range(300)]
    (folder / "events.txt").write_text("".join(f"{n / 100},0,{row}\n" for n, row in enumerate(rows)))
    (folder / "night.csv").write_text("".join(f"{n * 5000},{row}\n" for n, row in enumerate(rows)))
    done = set()

    def execute(words, monkeypatch):
        words = scaled(words)
        assert not [word for word in words if word[0] in "/~$%"], f"{words}: would leave the small world; see INSTEAD"
        shape = " ".join("RECORDING" if RECORDING.fullmatch(word) else word for word in words)
        shape = re.sub(r" (-o|--output) \S+", "", shape)
        if shape in done:
            return None
        done.add(shape)
        for path in (folder / word for word in words if RECORDING.fullmatch(word)):
            path.parent.mkdir(exist_ok=True)
            if not path.exists():
                hell.npz(path, 2)
        monkeypatch.chdir(folder)
        return CliRunner().invoke(main, words, input=(folder / "night.csv").read_bytes())

    return execute


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_runs_here_or_in_another_test(document, small, monkeypatch):
    failed = []
    for words in commands(document):
        result = None if elsewhere(words) or parsed(words) is None else small(words, monkeypatch)
        if result and result.exit_code:
            failed.append(f"{' '.join(scaled(words))}: {result.exit_code} {result.stderr[-300:]}")
    assert not failed, "\n".join(failed)


def test_what_is_written_is_read_as_shown(small, chain, monkeypatch):
    (code,) = (code for code in python_of("docs/output-files.md") if "json.load" in code)
    small(next(words for words in commands("docs/output-files.md") if "night1.aedat4" in words), monkeypatch)
    monkeypatch.chdir(chain.folder)
    exec(compile(code, "output-files.md", "exec"), {})


def python_of(document):
    """The blocks of Python of a document."""
    return [block for language, block in FENCED.findall(text_of(document)) if language == "python"]


def is_there(module, name):
    """Whether a module has an attribute or, perhaps not imported yet, a module of this name."""
    return hasattr(importlib.import_module(module), name) or importlib.util.find_spec(f"{module}.{name}") is not None


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_compiles_imports_what_is_there_and_is_run_by_a_test(document):
    for code in python_of(document):
        if document == "CONTRIBUTING.md":  # parts of files, which are ours, as tests/recipes says
            continue
        nodes = list(ast.walk(ast.parse(code)))
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                assert all(is_there(node.module, alias.name) for alias in node.names), code
        assert any(line.startswith(what) for line in code.splitlines() for what in RUN_BY), code


class Parsed(Exception):
    """Raised where a benchmark has read its options."""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_options_of_benchmarks_parse(document, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def stop(parser, *given):
        parse(parser, *given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    before = set(sys.modules)
    for _, script, *options in commands(document, "python"):
        options = [{"NAME": "base"}.get(word, word.strip("[]")) for word in options if word != "..."]
        monkeypatch.setattr(sys, "argv", [script, *options])
        with pytest.raises(Parsed):
            importlib.import_module(Path(script).stem).main()
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "x").parent == ROOT / "benchmarks":
            del sys.modules[name]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_targets_and_extras_are_there(document):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for _, *words in commands(document, "make"):
        assert {word for word in words if "=" not in word} <= {*targets}
    for _, _, *packages in commands(document, "pip"):
        extras = {extra for package in packages for extra in re.findall(r"spikeseg\[(.*)\]", package)}
        assert extras <= {*setup["options.extras_require"]}
