"""The benchmark of inference: that its sides say the same, what it runs on, and what it reports; never how fast anything is."""

import numpy as np
import pytest
import torch

from spikeseg.core.neurons import LeakMode
from spikeseg.ops import cpu, reference
from spikeseg.ops.reference.layers import currents
from spikeseg.ops.types import BlockThreshold, Layer


def layers():
    generator = torch.Generator().manual_seed(0)
    sizes = [(3, 2, 3, (2, 2), 0.8, 0.2), (5, 3, 3, (2, 2), 2.0, 0.1), (1, 5, 5, None, 9.0, 0.0)]
    return [
        Layer(
            torch.rand(maps, channels, kernel, kernel, generator=generator) - 0.3,
            torch.full((maps,), theta),
            LeakMode.SUBTRACTIVE if leak else LeakMode.NONE,
            round(leak * 4096) / 4096,
            pool,
        )
        for maps, channels, kernel, pool, theta, leak in sizes
    ]


def frames(samples=3, shape=(5, 2, 13, 10), density=0.1):
    return (np.random.default_rng(0).random((samples, *shape)) < density).astype(np.uint8)


def adapted():
    values = torch.from_numpy(np.random.default_rng(1).integers(2000, 6000, (3, 3, 2, 2)) / 4096).float()
    return BlockThreshold(values, 8)


@pytest.mark.parametrize("threshold", [None, adapted()], ids=["per map", "by position"])
def test_norse_step_by_step_says_what_the_reference_does(script, threshold):
    inference = script("inference")
    work = inference.Work("w", frames(), layers(), threshold)
    found = inference.norse_side("norse", work, 3, threads=1)()
    expected = reference.encode(frames(), layers(), threshold)
    for i, one in enumerate(expected):
        dense = np.stack([sample[i][:, 0].numpy() for sample in found])
        assert np.array_equal(dense, one.lists.dense())
        assert 0 < dense.mean() < 1


def test_lif_box_is_the_recurrence_that_it_claims(script):
    layer = layers()[0]._replace(pool=None)
    (found,) = script("peers").norse_box([layer])(torch.from_numpy(frames(1)[0, :, None]).float())
    share = layer.leak / 0.8
    u, fired = None, []
    for current in currents(torch.from_numpy(frames(1)[0, :, None]).float(), layer.weight):
        u = current if u is None else (1 - share) * u + current
        z = u >= layer.threshold[:, None, None] + layer.leak
        u = torch.where(z, 0.0, u)
        fired.append(z.float())
    assert torch.equal(found, torch.stack(fired)) and 0 < found.mean() < 1


def test_norse_refuses_what_it_cannot_say_exactly(script):
    with pytest.raises(ValueError, match="by a constant"):
        script("peers").norse_exact([layers()[0]._replace(mode=LeakMode.MULTIPLICATIVE)])


def test_a_spike_more_stops_the_benchmark(script):
    inference = script("inference")
    work = inference.Work("w", frames(), layers(), None)
    ours = cpu.encode(frames(), layers())
    same = {"reference": reference.encode(*work.part(2)), "norse": inference.norse_side("norse", work, 2, 1)()}
    assert inference.check_equal(work, ours, same) == 2
    changed = same["norse"][1][2].clone()
    changed[0, 0, 0, 0, 0] = 1 - changed[0, 0, 0, 0, 0]
    same["norse"][1][2] = changed
    with pytest.raises(SystemExit, match="w: spikes of conv3 differ between cpu and norse"):
        inference.check_equal(work, ours, same)
    livelier = {"reference": reference.encode(frames(density=0.2), layers())}
    with pytest.raises(SystemExit, match="conv1 differ between cpu and reference"):
        inference.check_equal(work, ours, livelier)


def test_nights_come_at_the_density_asked_for(script):
    workloads = script("workloads")
    counts = np.random.default_rng(0).poisson(0.02, (6, 10, 2, 32, 48)).astype(np.uint16)
    night = workloads.Night(counts, np.full((6, 2, 2, 3), 0.02, np.float32), None, None)
    for density in (0.001, 0.01, 0.05):
        found, background = night.at_density(density, 4)
        assert found.shape == (4, 10, 2, 32, 48) and found.dtype == np.uint16
        assert (found > 0).mean() == pytest.approx(density, rel=0.15)
        assert background.mean() == pytest.approx(found.mean(), rel=0.1)


def test_random_input_can_be_made_as_lively_as_a_model(script):
    workloads = script("workloads")
    seen = workloads.random_frames(0.1, 20, (5, 2, 13, 10))
    model = workloads.densities(workloads.random_frames(0.1, 20, (5, 2, 13, 10), seed=1), layers())
    other = [layer._replace(threshold=layer.threshold * 3) for layer in layers()]
    found = workloads.densities(seen, workloads.as_lively(other, seen, model))
    assert found[1] / found[0] == pytest.approx(model[1] / model[0], rel=0.3)
    assert found[2] / found[1] == pytest.approx(model[2] / model[1], rel=0.3)


def test_a_quick_run_reports_every_side_of_every_input(quick):
    printed, found = quick("inference", "--markdown")
    assert [one["workload"] for one in found["inference"]] == ["night, 1 %", "random, 1 %", "nights as they are"]
    sides = {"cpu", "cpu, 2 threads", "reference"} | {f"norse{kind}{n}" for kind in ("", ", LIFBox") for n in ("", ", 2 threads")}
    for one in found["inference"]:
        assert set(one["samples_per_s"]) - {"cuda"} == sides
        assert all(0 < rate["min"] <= rate["median"] <= rate["max"] for rate in one["samples_per_s"].values())
        assert one["equal"] and one["samples_compared"] > 0
        assert len(one["spikes_per_sample"]) == 3 and one["spikes_per_sample"][0] > 0
        assert one["gain_share"] == pytest.approx(one["gain"]["median"] / one["gain_of_loop"]["median"])
    assert found["peak_bytes"]["0.1 %"]["cpu"] >= 0
    assert sum(line.startswith("| input |") for line in printed.splitlines()) == 5
