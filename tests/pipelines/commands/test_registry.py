"""Commands are loaded when they are asked for; a broken one of another package breaks no other (a whole one: tests/recipes)."""

import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint

import pytest
from click.testing import CliRunner, Result

from spikeseg import registry
from spikeseg.pipelines import commands
from spikeseg.pipelines.cli import main
from spikeseg.registry import Registry

HEAVY = {"torch", "norse", "tonic", "zarr", "numba", "scipy", "h5py"}


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """Another package, with a command that cannot be imported, one that is none, one named as ours."""
    (tmp_path / "another_package.py").write_text("NO_COMMAND = 3")
    monkeypatch.syspath_prepend(tmp_path)
    group = "spikeseg.commands"
    points = [
        EntryPoint("broken", "no_such_package:command", group),
        EntryPoint("three", "another_package:NO_COMMAND", group),
        EntryPoint("info", "another_package:NO_COMMAND", group),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == "spikeseg.commands" else [])
    fresh = Registry("command", group, commands.COMMANDS._built_in)
    monkeypatch.setattr("spikeseg.pipelines.cli.COMMANDS", fresh)
    yield
    sys.modules.pop("another_package", None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (
            "broken",
            "entry point no_such_package:command of spikeseg.commands cannot be loaded (No module named",
        ),
        ("three", "its entry point names a int, not a click command"),
    ],
)
@pytest.mark.usefixtures("theirs")
def test_a_broken_command_is_listed_with_its_error_and_breaks_no_other(name, reason):
    listed = run("--help")
    assert listed.exit_code == 0 and f"{name} cannot be run: command '{name}'" in " ".join(listed.output.split())
    for words in ([name], [name, "--help"], [name, "x", "--option", "3"]):
        said = run(*words)
        assert said.exit_code == 3 and said.output.startswith("error: ") and said.output.count("\n") == 1
        assert reason in said.output
    assert run("prepare", "--help").exit_code == 0


@pytest.mark.usefixtures("theirs")
def test_a_name_of_ours_cannot_be_taken():
    assert "hot pixels" in run("info", "--help").output


def loaded(*lines: str) -> set[str]:
    """Names of the modules that a new Python has loaded after these lines."""
    code = "\n".join([*map(textwrap.dedent, lines), "import sys; print('\\n' + ' '.join(sys.modules))"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_neither_the_package_nor_any_help_loads_anything_heavy():
    assert not loaded("import spikeseg") & HEAVY
    modules = loaded(
        """
        from spikeseg.pipelines.cli import main
        from spikeseg.pipelines.commands import COMMANDS
        main(["--help"], standalone_mode=False)
        for name in COMMANDS:
            main([name, "--help"], standalone_mode=False)
        """
    )
    assert not modules & HEAVY and "spikeseg.pipelines.commands.train" in modules


def test_a_command_loads_no_other():
    modules = loaded("from spikeseg.pipelines.cli import main", "main(['status', '--help'], standalone_mode=False)")
    folder = "spikeseg.pipelines.commands."
    names = {name.removeprefix(folder).replace("_", "-") for name in modules if name.startswith(folder)}
    assert names & set(commands.COMMANDS) == {"status"}
