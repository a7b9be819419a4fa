"""What is done, what is stale and why."""

from spikeseg.pipelines.runtime.differences import differences, leaves
from spikeseg.pipelines.runtime.manifest import Ingredients


def states(said: str) -> dict[str, str]:
    """Stage -> state, as printed."""
    lines = [line for line in said.splitlines() if not line.startswith("next: ")]
    return {line[13:27].strip(): line[:13].strip() for line in lines}


def test_everything_is_up_to_date_after_the_chain(chain):
    said = chain.ok("status")
    assert states(said) == dict.fromkeys(["simulate", "prepare", "conv2", "conv3", "evaluate"], "up to date")
    assert said.splitlines()[-1] == "next: spikeseg detect RECORDING"


def test_where_the_newest_run_has_another_configuration_its_status_is_named(chain):
    """Who has trained with -c and asks without it is told of the built-in recordings, which nobody has trained on."""
    (run,) = (chain.folder / "runs").glob("tiny-*")
    hint = f"of the newest run, which has another: spikeseg status -c runs/{run.name}/config.yaml"
    assert hint in chain("status", config=False).stderr
    assert hint not in chain("status").stderr
    assert states(chain.ok("status", "-c", f"runs/{run.name}/config.yaml", config=False))["conv3"] == "up to date"


def test_a_changed_value_makes_stale_what_depends_on_it_and_says_which(chain):
    said = chain.ok("status", "--set", "stdp.lr_plus=0.004")
    assert states(said) == {
        "simulate": "up to date", "prepare": "up to date", "conv2": "stale", "conv3": "stale", "evaluate": "missing",
    }  # fmt: skip
    assert "stdp.lr_plus 0.04 → 0.004" in said
    assert said.splitlines()[-1] == "next: spikeseg train-layer conv2 -c tiny.yaml --set stdp.lr_plus=0.004"
    said = chain.ok("status", "--set", "evaluation.radius_px=3")
    assert states(said)["conv3"] == "up to date" and "evaluation.radius_px 5.0 → 3.0" in said


def test_nothing_is_there_in_an_empty_folder(place):
    said = place.ok("status")
    assert states(said) == dict.fromkeys(["simulate", "prepare", "conv2", "conv3", "evaluate"], "missing")
    assert said.splitlines()[-1] == "next: spikeseg prepare -c tiny.yaml"
    assert [path.name for path in place.folder.iterdir()] == ["tiny.yaml"]


def test_a_damaged_folder_is_stale(place):
    place.ok("prepare")
    (store,) = (place.folder / "data_cache" / "frames").glob("*/frames.zarr")
    (store / "zarr.json").write_text("{}")
    result = place("status")
    assert states(result.stdout)["prepare"] == "stale" and "damaged" in result.stdout


def test_differences_name_values_and_inputs():
    manifest = {"config": {"a": {"b": 1, "c": [1, 2]}, "d": True}, "inputs": {"x": "1", "y": "2", "z": "3"}}
    now = Ingredients("s", 1, {"a": {"b": 2, "c": (1, 2)}, "d": True}, {"x": "1", "y": "9", "w": "4"})
    assert differences(manifest, now) == ["a.b 1 → 2", "w added", "z gone", "y changed"]
    assert differences(manifest, now._replace(config=manifest["config"], inputs=manifest["inputs"])) == []
    assert differences(manifest, now._replace(config=manifest["config"], inputs={"x": "1"})) == ["2 inputs gone (y, ...)"]
    assert differences({**manifest, "version": 3}, now._replace(inputs=manifest["inputs"], config=manifest["config"])) == [
        "version of the stage 3 → 1"
    ]
    gone = now._replace(config={"d": None}, inputs=manifest["inputs"])
    assert differences(manifest, gone) == ["a.b 1 → nothing", "a.c [1, 2] → nothing", "d True → None"]


def test_values_by_their_names():
    nested = {"a": [{"b": 1}], "c": None, "d": {"e": 2}}
    assert dict(leaves(nested)) == {"a": [{"b": 1}], "c": None, "d.e": 2}
    assert dict(leaves(nested, lists=True)) == {"a[0].b": 1, "c": None, "d.e": 2}


def test_a_sweep_is_needed_where_its_result_is_read_and_else_shown_when_it_is_there(copied):
    assert "sweep" not in states(copied.ok("status"))
    said = copied.ok("status", "--set", "evaluation.readout=calibrated")
    assert states(said)["sweep"] == "missing" and said.splitlines()[-1].startswith("next: spikeseg sweep -c tiny.yaml")
    copied.ok("sweep")
    assert states(copied.ok("status"))["sweep"] == "up to date"
    said = copied.ok("status", "--set", "tracking.min_hits=3")
    assert states(said)["sweep"] == "stale" and "tracking.min_hits 2 → 3" in said
    assert said.splitlines()[-1].startswith("next: spikeseg evaluate")  # nothing asks for the sweep


def test_cross_validations_that_were_made(copied):
    copied.ok("cross-validate", "--folds", "2")
    assert states(copied.ok("status"))["cross-validate"] == "up to date"
    said = copied.ok("status", "--set", "evaluation.radius_px=3")
    assert states(said)["cross-validate"] == "stale" and "not scored with this configuration" in said
    said = copied.ok("status", "--set", "stdp.lr_plus=0.004")
    assert states(said)["cross-validate"] == "stale" and "not scored with this configuration" in said
