"""The wheel: what it installs, what it asks for, and that it works away from the sources."""

import ast
import configparser
import email
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import spikeseg
from spikeseg.export import simulators

ROOT = Path(__file__).parents[1]
BUILT = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "spikeseg", "pipelines", "configs")
DISTRIBUTIONS = {
    "backports": "backports.zstd", "ccsds_ndm": "ccsds-ndm", "erfa": "pyerfa", "google_crc32c": "google-crc32c",
    "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml", "PIL": "pillow",
}  # fmt: skip
"""Import names that differ from the distribution's."""


def declared(section: str, option: str) -> list[str]:
    """Lower-case names of the distributions listed in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return [re.split(r"[\[<>=!~; ]", line)[0].lower() for line in setup[section][option].split("\n") if line]


def imported(lazily: bool) -> set[str]:
    """First names of absolute imports anywhere in the package; without `lazily`, of those that run on import only."""
    found: set[str] = set()
    for path in (*ROOT.glob("spikeseg/**/*.py"), *ROOT.glob("pipelines/**/*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree) if lazily else tree.body:
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module).split(".")[0])
    return found - set(sys.stdlib_module_names) - {"spikeseg"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the sources, so that nothing is left in the tree, by the setuptools at hand."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in BUILT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content, laid out as in site-packages."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_the_wheel_puts_spikeseg_alone_into_site_packages(installed):
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"spikeseg"}
    assert len(list(installed.iterdir())) == 2


def test_the_wheel_holds_every_module_configuration_and_network(installed):
    modules = [path for path in ROOT.glob("spikeseg/**/*") if path.is_file() and path.parent.name != "__pycache__"]
    sources = {f"spikeseg/{path.relative_to(ROOT / 'spikeseg').as_posix()}" for path in modules}
    for folder in ("pipelines", "configs"):
        kept = (path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml"))
        sources |= {f"spikeseg/{folder}/{path.relative_to(ROOT / folder).as_posix()}" for path in kept}
    assert {p.relative_to(installed).as_posix() for p in (installed / "spikeseg").rglob("*") if p.is_file()} == sources


def test_the_wheel_names_its_licence_command_and_pythons(installed):
    (info,) = installed.glob("*.dist-info")
    metadata = email.message_from_string((info / "METADATA").read_text(encoding="utf-8"))
    assert "GPL-3.0-or-later" in (metadata["License-Expression"] or metadata["License"])
    assert len(list(info.rglob("LICENSE"))) == 1
    assert set(metadata["Requires-Python"].split(",")) == {">=3.11", "<3.14"}
    extras = {"test", "formats", "plots", "view", "rerun", "tables", "tensorboard", "wandb", "benchmarks", "dask", "docs", "sky"}
    extras |= {"interop"}
    assert set(metadata.get_all("Provides-Extra")) == extras
    assert "spikeseg = spikeseg.pipelines.start:main" in (info / "entry_points.txt").read_text()


def test_requirements_are_ranges(installed):
    (info,) = installed.glob("*.dist-info")
    needs = email.message_from_string((info / "METADATA").read_text(encoding="utf-8")).get_all("Requires-Dist")
    assert needs and not [need for need in needs if "==" in need.split(";")[0]]


@pytest.mark.parametrize(
    "statement",
    [
        "from spikeseg.config import load_config; assert load_config('demo').experiment_name == 'demo'",
        "from spikeseg.config.sections import STDPConfig; assert STDPConfig.from_paper('kheradpisheh2018').lr_plus == 0.004",
        "from spikeseg.pipelines.cli import main",
        "import spikeseg; assert not [name for name in sys.modules if name.startswith('spikeseg.')]",
        "import spikeseg.config; assert 'torch' not in sys.modules and 'click' not in sys.modules",
    ],
)
def test_it_works_in_another_folder(installed, tmp_path, statement):
    start = f"import sys; sys.path.insert(0, {str(installed)!r}); import spikeseg; assert {str(installed)!r} in spikeseg.__file__"
    done = subprocess.run(
        [sys.executable, "-c", f"{start}; {statement}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_everything_imported_is_declared():
    required = declared("options", "install_requires")
    used = ("formats", "plots", "view", "rerun", "tables", "tensorboard", "wandb", "dask", "sky", "interop")
    extras = {name for extra in used for name in declared("options.extras_require", extra)}
    at_once = {DISTRIBUTIONS.get(name, name) for name in imported(lazily=False)}
    at_all = {DISTRIBUTIONS.get(name, name) for name in imported(lazily=True)}
    assert "numpy" in at_once and "zarr" in at_all  # the walk finds something
    by_hand = {"sinabs"}  # asks for another version of NIR than the rest
    with_torch = {"triton"}  # comes with torch for CUDA; spikeseg.ops.cuda alone needs it, and says so where it is missing
    assert at_once <= {*required, *with_torch}
    assert at_all <= {*required, *extras, *with_torch, *by_hand}


def test_what_no_extra_can_ask_for_is_installed_for_the_suite_and_told_to_the_user():
    command = "--no-deps sinabs pbr"
    tested = (ROOT / "Makefile").read_text().partition("$(VENV)/.tested:")[2].partition("\n\n")[0]
    assert f"$(PIP) $(PIN) {command}\n" in tested
    assert f"`pip install {command}`" in simulators.INSTALL["sinabs"]
    for name in ("export", "install"):
        assert f"`pip install {command}`" in (ROOT / f"docs/{name}.md").read_text()


def test_nothing_imports_torchvision():
    assert "torchvision" not in imported(lazily=True)


def test_constraints_resolve_on_any_machine():
    lines = [line for line in (ROOT / "constraints-cpu.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert lines and all(re.fullmatch(r"[a-z-]+==\d+\.\d+\.\d+", line) for line in lines)  # no local version: any index has them


def test_the_library_does_not_know_the_pipelines():
    """Which import-linter cannot see, because pipelines/ lies beside spikeseg/."""
    sources = [path for path in (ROOT / "spikeseg").rglob("*.py") if path.name != "__main__.py"]
    assert [str(path) for path in sources if "spikeseg.pipelines" in path.read_text(encoding="utf-8")] == []


def test_the_conda_recipe_asks_for_what_setup_cfg_asks_for():
    recipe = yaml.safe_load((ROOT / "packaging/conda/meta.yaml").read_text())
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    renamed = {"astropy-base": "astropy", "pytorch": "torch"}
    name, *others = recipe["requirements"]["run"]
    asked = [(renamed.get(need.split()[0], need.split()[0]), need.split()[1]) for need in others]
    needed = [re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in setup["options"]["install_requires"].split("\n") if line]
    assert asked and sorted(asked) == sorted(needed) and name == f"python {setup['options']['python_requires']}"
    assert recipe["build"]["entry_points"] == [setup["options.entry_points"]["console_scripts"].strip()]


def test_one_version_stands_everywhere():
    recipe = yaml.safe_load((ROOT / "packaging/conda/meta.yaml").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {recipe["package"]["version"], citation["version"]} == {spikeseg.__version__}


def test_docker_copies_what_it_lets_through_and_installs_what_is_there():
    text = (ROOT / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.*)", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied and all((ROOT / name).exists() for name in copied)
    assert set(copied) == {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert set(re.search(r'"\.\[(.*)\]"', text)[1].split(",")) <= {*setup["options.extras_require"]}
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "spikeseg", "pipelines", "configs"} <= set(copied)
