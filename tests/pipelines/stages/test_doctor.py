"""What `doctor` finds on this machine, and on broken ones."""

import json
import os
from importlib import metadata

import numpy as np
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement

from spikeseg.config.load import load_config
from spikeseg.core.union_kernels import root
from spikeseg.pipelines.cli import main
from spikeseg.pipelines.stages import doctor


def by_name(findings):
    """The findings by what was looked at."""
    return {finding.what: finding for finding in findings}


def doctored(*words):
    return CliRunner().invoke(main, ["doctor", *words])


@pytest.fixture
def requirements(monkeypatch):
    """Let spikeseg require these lines."""
    return lambda *lines: monkeypatch.setattr(metadata, "requires", lambda _: list(lines))


def test_all_is_well_here_and_the_self_test_finds_the_satellite(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = doctored("-o", "doctor.json", "--device", "cpu")
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[-1] == "spikeseg works here" and "FAULT" not in said.stdout
    assert said.stderr.startswith("self-test: simulating 4 s of a night") and "minute more" in said.stderr
    written = by_name(doctor.Finding(**entry) for entry in json.loads((tmp_path / "doctor.json").read_text()))
    assert written["self-test"].text.startswith("a simulated satellite was found") and not written["self-test"].fault
    assert [path.name for path in tmp_path.iterdir()] == ["doctor.json"]


def test_an_extra_is_there_or_its_line_of_pip_is(requirements):
    requirements("numpy>=1.26", 'numpy>=1; extra == "here"', 'no-such-thing>=2; sys_platform == "linux" and extra == "gone"',
                 'nothing; sys_platform == "plan9" and extra == "gone"', 'no-such-thing>=2; extra == "test"')  # fmt: skip
    found = by_name(doctor.packages())
    assert set(found) == {"spikeseg", "[here]", "[gone]"}
    assert found["[here]"].text == f"numpy {np.__version__}" and not found["[here]"].remedy
    gone = found["[gone]"]
    assert (gone.text, gone.remedy, gone.fault) == ("no-such-thing is missing", "pip install 'spikeseg[gone]'", False)


def test_what_is_required_and_missing_or_of_another_version_is_a_fault(requirements):
    requirements("numpy>=999", "no-such-thing", "click>=8")
    fault = by_name(doctor.packages())["packages"]
    assert fault.fault and fault.text == f"numpy is {np.__version__}, must be >=999; no-such-thing is missing"
    assert fault.remedy == "pip install 'numpy>=999' 'no-such-thing'"


def test_code_that_is_not_installed_is_a_fault(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    (finding,) = doctor.packages()
    assert finding.fault and "pip install -e ." in finding.remedy


def test_extras_are_those_of_setup_cfg():
    needed = [Requirement(line) for line in metadata.requires("spikeseg")]
    assert {"plots", "formats", "sky", *doctor.OF_DEVELOPERS} - {"interop"} <= doctor._extras(needed)


def test_folders_say_what_they_hold_and_whether_they_can_be_written(tmp_path):
    (tmp_path / "held").write_bytes(bytes(2**20))
    assert "1.0 MiB held" in doctor.folder("cache", str(tmp_path), "cache_dir").text
    new = doctor.folder("cache", str(tmp_path / "a" / "b"), "cache_dir")
    assert "not there yet" in new.text and not new.fault and not (tmp_path / "a").exists()
    file = doctor.folder("cache", str(tmp_path / "held" / "c"), "cache_dir")
    assert (
        file.fault
        and f"{tmp_path / 'held'} is no folder" in file.text
        and file.remedy == "--set cache_dir=FOLDER names another place"
    )


def test_a_disk_that_refuses_is_a_fault_with_exit_code_3(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(30, os.strerror(30))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    said = doctored("--no-test")
    assert said.exit_code == 3 and said.stdout.count("FAULT") == 3  # cache, runs, kernels
    assert "cannot be written (read-only file system)" in said.stdout and "NUMBA_CACHE_DIR" in said.stdout
    assert said.stderr.startswith("error: 3 faults; do what stands below each")


def test_kernels_that_cannot_be_kept_are_a_fault(monkeypatch):
    monkeypatch.setattr(root, "_cache", type("NoCache", (), {"cache_path": None})())
    assert doctor.kernels().fault and "NUMBA_CACHE_DIR" in doctor.kernels().remedy


def test_what_breaks_in_the_self_test_is_told(monkeypatch):
    def broken(_):
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(doctor, "_objects", broken)
    finding = doctor.self_test(load_config("demo"))
    assert finding.fault and finding.text == "ImportError: libgomp.so.1: cannot open shared object file"


OBJECT = np.dtype([(name, float) for name in ("x_start", "y_start", "x_end", "y_end", "speed")])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(236.0, 175.0, 79.0, 77.0, 84.0)], ""),
        ([(236.0, 175.0, 79.0, 77.0, 90.0)], "speed of a simulated satellite is 90.0, must be 84.2 ± 2"),
        ([(236.0, 175.0, float("nan"), 77.0, 84.0)], "x_end of a simulated satellite is nan, must be 79.3 ± 2"),
        ([], "0 objects found in a simulated night, must be 1"),
    ],
)
def test_another_answer_than_the_known_one_is_told(rows, said):
    assert doctor.difference(np.array(rows, OBJECT)) == said
