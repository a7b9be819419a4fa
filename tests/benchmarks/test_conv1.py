"""The benchmark of conv1: at the preset's settings a faint streak passes and background activity hardly does."""

from spikeseg.config.load import load_config


def test_a_quick_run_tells_the_presets_threshold_from_one_that_passes_everything(quick):
    printed, found = quick("conv1", "--markdown")
    low, preset = found["rows"]
    model = load_config(None, paper="igarss2023")
    assert (preset["threshold"], preset["step_ms"], preset["sigmas"]) == (
        model.model.thresholds[0], model.data.timestep_ms, model.model.background_sigmas,
    )  # fmt: skip
    assert preset["seen"] > preset["chance"] + 0.15 and preset["per_1000_events"] < 20 < low["per_1000_events"]
    assert "streak seen" in printed
