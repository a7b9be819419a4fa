"""In the tree: how many files name a built-in, and that a new one takes its own file and a line of a registry."""

import ast
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from spikeseg.pipelines.commands import COMMANDS
from spikeseg.registries import DATASETS, MODES, READERS, RULES

FOLDER = Path(__file__).parent
TREE = FOLDER.parents[1]

ELSEWHERE = {
    "classify.py": {"digits": "what it takes where no dataset is named", "images": "a section of the configuration"},
    "sections.py": {"ebssa": "the default", "images": "a section of the configuration"},
    "prepare.py": {"synthetic": "simulated where no folder is named", "files": "a key of the manifest"},
    "common.py": {"synthetic": "the one dataset that needs no folder"},
    "simulate.py": {"npz": "a format that is written", "files": "what reads it", "ebssa": "what reads the others"},
    "write.py": {"npz": "a format that is written"},
    "arrays.py": {"files": "a key of the store"},
    "demo.py": {"event": "a row of its short table", "track": "a row of its short table"},
    "classification.py": {"images": "a key of metrics.json"},
    "files.py": {"event": "a word of a message", "npz": "a format that is written"},
    "doctor.py": {"npz": "a format that is written", "object": "a word of a message"},
    "export.py": {"npz": "a format that is written", "event": "how a network on a chip is scored"},
    "kinds.py": {"text": "what a file is", "npz": "a suffix of what a file is"},
    "checking.py": {"text": "a word of a message"},
    "schema.py": {"pixel": "a unit"},
    "what_moved.py": {"object": "a word of what is printed"},
    "video.py": {"object": "a word of what is drawn"},
    "watch.py": {"object": "a word of a message"},
    "detections.py": {"event": "a word of the picture", "object": "a word of the picture"},
    "pixels.py": {"pixel": "a column"},
    "info.py": {"object": "a word of the summary", "hdf5": "the one format whose files hold several recordings"},
    "mat5.py": {"object": "a class of MATLAB"},
    "leak.py": {"multiplicative": "a leak"},
    "network_sections.py": {"multiplicative": "the default with soft bounds", "additive": "the default without"},
    "systematic.py": {"object": "what it scores", "track": "what it scores"},
    "diagnosis.py": {name: "a word of the picture" for name in ("event", "object", "pixel")},
    "packaged.py": {"files": "the built-in configuration of one"},
    "ahead.py": {"files": "a built-in configuration"},
    "evidence.py": {"event": "figures that a report shows", "track": "figures that a report shows"},
    "report.py": {"track": "by which recordings are chosen"},
    "activity.py": {"event": "a word of a title"},
    "figures.py": {"event": "a word of a title"},
    "sentences.py": {"event": "a word of a sentence", "object": "a word of a sentence", "images": "a key of metrics.json"},
    "tables.py": {"event": "a word of a note", "images": "a key of a layer's figures"},
    "request.py": {"track": "how a telescope moves"},
    "tonic_style.py": {"files": "the default"},
}
"""Files that hold a name as a default, which another built-in is not, or in another meaning."""


class Code:
    """What the code of a file names; docstrings and comments aside.

    Attributes:
        path: below the tree.
        text: strings.
        members: attributes, as class.member.
        modules: imported, absolute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.relative_to(TREE).as_posix()
        nodes = list(ast.walk(ast.parse(path.read_text())))
        self.text = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        self.members = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
        self.modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        package = ["spikeseg", *Path(self.path).parts[:-1]] if self.path.startswith("pipelines") else Path(self.path).parts[:-1]
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else ()
                module = ".".join([*above, *([node.module] if node.module else [])])
                self.modules |= {module, *(f"{module}.{alias.name}" for alias in node.names)}


@pytest.fixture(scope="module")
def code():
    """All files of the package."""
    return [Code(path) for folder in ("spikeseg", "pipelines") for path in sorted((TREE / folder).rglob("*.py"))]


def file_of(target):
    """The file that defines what a registry names as module:attribute."""
    path = target.partition(":")[0].replace(".", "/") + ".py"
    return path.replace("spikeseg/pipelines/", "pipelines/")


def naming(code, name, target):
    """The files that name a built-in: its own, and those that hold its name or where it is defined."""
    files = {file.path for file in code if name in file.text or target in file.text}
    return {path for path in files if name not in ELSEWHERE.get(Path(path).name, ())} | {file_of(target)}


@pytest.mark.parametrize("registry", [DATASETS, READERS, MODES, RULES], ids=lambda registry: registry.kind)
def test_a_built_in_is_named_by_its_file_and_the_registries_alone(code, registry):
    for name, target in registry._built_in.items():
        files = naming(code, name, target)
        assert files == {"spikeseg/registries.py", file_of(target)}, name


def test_a_command_is_named_by_a_line_of_the_registry_alone(code):
    for name, target in COMMANDS._built_in.items():
        module = target.partition(":")[0]
        line = f".{target.rpartition('.')[2]}"  # behind the folder's name
        assert [file.path for file in code if {target, line} & file.text] == ["pipelines/commands/__init__.py"], name
        assert not [file.path for file in code if module in file.modules], name


def test_a_mode_is_imported_by_what_chooses_thresholds_by_its_figures_alone(code):
    users = {f"spikeseg/evaluation/{name}.py" for name in ("baselines", "compare", "protocols", "results", "thresholds")}
    users |= {"pipelines/stages/sweep.py", "spikeseg/report/seen.py"}
    # protocols: the area that they ask for; results: whose curves are drawn; seen: which tracks are false
    for name, target in MODES._built_in.items():
        module = target.partition(":")[0]
        assert {file.path for file in code if module in file.modules} <= users, name


def test_a_neuron_mode_is_five_files(code):
    members = {f"{kind}.{mode}" for kind in ("LeakMode", "LeakCode") for mode in ("SUBTRACTIVE", "MULTIPLICATIVE")}
    assert {file.path for file in code if members & file.members or "subtractive" in file.text} == {
        "spikeseg/config/network_sections.py",  # the default
        "spikeseg/core/leak.py",
        "spikeseg/core/neurons.py",
        "spikeseg/ops/cpu/neuron_kernels.py",
        "spikeseg/ops/cuda/neuron_kernels.py",
    }


ADDED = {
    "dataset": (
        "data/datasets/my_dataset.py",
        "registries.py",
        """
        "mnist": "spikeseg.data.datasets.mnist:DATASET",
        "mine": "spikeseg.data.datasets.my_dataset:DATASET",
""",
    ),
    "reader": (
        "data/readers/my_reader.py",
        "registries.py",
        """
        "npz": "spikeseg.data.readers.numpy_files:NPZ",
        "mine": "spikeseg.data.readers.my_reader:READER",
""",
    ),
    "rule": (
        "learning/my_rule.py",
        "registries.py",
        """
        "additive": "spikeseg.learning.rules:ADDITIVE",
        "mine": "spikeseg.learning.my_rule:RULE",
""",
    ),
    "metric": (
        "metrics/my_metric.py",
        "registries.py",
        """
        "track": "spikeseg.metrics.track_mode:MODE",
        "mine": "spikeseg.metrics.my_metric:MODE",
""",
    ),
    "command": (
        "pipelines/commands/my_command.py",
        "pipelines/commands/__init__.py",
        """
        "info": f"{_FOLDER}.info:info",
        "mine": f"{_FOLDER}.my_command:mine",
""",
    ),
}
"""Package of this folder -> its file in the tree, the registry, a line of it and the new one behind it."""

CHECK = """
import sys
from click.testing import CliRunner
from spikeseg.config import load_config
from spikeseg.learning.rules import plasticity
from spikeseg.pipelines.cli import main
from spikeseg.registries import DATASETS, MODES, READERS, RULES

assert sys.modules["spikeseg"].__file__.startswith(sys.argv[1])
config = load_config(None, {"data.dataset": "mine", "stdp.rule": "mine"})
print(config.data.dataset, plasticity(config.stdp).form.name, READERS["mine"].title, MODES["mine"].title, sep="; ")
print(CliRunner().invoke(main, ["--help"]).output, CliRunner().invoke(main, ["evaluate", "--help"]).output)
"""


def test_what_is_added_to_the_tree_is_a_file_and_a_line(tmp_path):
    copy = tmp_path / "spikeseg"
    python = shutil.ignore_patterns("__pycache__")
    shutil.copytree(TREE / "spikeseg", copy, ignore=python)
    shutil.copytree(TREE / "pipelines", copy / "pipelines", ignore=python)
    shutil.copytree(TREE / "configs", copy / "configs")
    for package, (file, registry, lines) in ADDED.items():
        shutil.copy(FOLDER / package / f"my_{package}.py", copy / file)
        before, content = "\n".join(lines.split("\n")[:2]) + "\n", (copy / registry).read_text()
        assert content.count(before) == 1
        (copy / registry).write_text(content.replace(before, lines))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", CHECK, str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    title = "events above the threshold, slices of {slice_ms:g} ms"
    assert done.stdout.startswith(f"mine; CUSTOM; events of mine; {title}\n")
    assert "Count the windows of a recording." in done.stdout and "track|mine" in done.stdout


def test_the_code_that_contributing_shows_is_ours():
    files = [*FOLDER.rglob("my_*.py"), *FOLDER.rglob("pyproject.toml"), FOLDER / "test_in_the_tree.py"]
    files += [path for folder in ("spikeseg", "pipelines") for path in (TREE / folder).rglob("*.py")]
    blocks = re.findall(r"```(?:python|toml)\n(.*?)```", (TREE / "CONTRIBUTING.md").read_text(), re.DOTALL)
    contents = [path.read_text() for path in files]
    parts = [part for block in blocks for part in re.split(r"\n+\.\.\.\n", block.strip("\n"))]
    absent = [part for part in parts if not any(textwrap.indent(part, " " * n) in text for text in contents for n in (0, 4, 8))]
    assert len(parts) > 15 and not absent
