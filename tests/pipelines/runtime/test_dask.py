"""The same commands on a Dask cluster: two workers on this machine."""

import functools
import os
import signal
import sys
from pathlib import Path

import pytest

from spikeseg.pipelines.runtime.parallel import Workers, ordered

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def address():
    """Of a scheduler with two workers, each a process.

    Patient with a busy machine; but whoever asks a worker that just died for its results tries to reach it for as long as
    connect says.
    """
    import cloudpickle
    import dask

    patient = {"distributed.comm.timeouts.connect": "60s", "distributed.comm.timeouts.tcp": "600s"}
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with (
        dask.config.set(patient),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
    ):
        yield cluster.scheduler_address


def die_once(folder, item):
    mark = Path(folder) / "died"
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item, os.getpid()


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_worker_that_dies_loses_nothing(address, tmp_path):
    found = list(ordered(functools.partial(die_once, str(tmp_path)), range(8), Workers(dask=address)))
    assert [item for item, _ in found] == list(range(8)) and (tmp_path / "died").exists()
    assert os.getpid() not in {pid for _, pid in found}


def test_what_a_worker_raises_is_raised(address):
    with pytest.raises(ZeroDivisionError):
        list(ordered((1).__truediv__, [1, 0, 1], Workers(dask=address)))


def test_every_stage_gives_the_same_on_the_cluster(chain, copied, address):
    (recording,) = (chain.folder / "data_cache" / "simulated").glob("*/EBSSA/labelled_ebssa.h5")
    places = [f"{recording}::DAVIS_000{k}" for k in (1, 3)]
    chain.ok("detect", *places, "-o", copied.folder / "here")
    copied.ok("detect", *places, "-o", copied.folder / "there", "--dask", address)
    here, there = content(copied.folder / "here"), content(copied.folder / "there")
    assert sorted(here) == sorted(there) and len(here) == 5 + 2 * 6
    assert all(here[name] == there[name] for name in here if "manifest" not in name)
    before = content(copied.folder / "data_cache" / "frames")
    copied.ok("prepare", "--force", "--dask", address)
    after = content(copied.folder / "data_cache" / "frames")
    assert sorted(before) == sorted(after)
    assert all(before[name] == after[name] for name in before if not name.endswith("manifest.json"))
    metrics = {name: data for name, data in content(copied.folder / "runs").items() if name.endswith("metrics.json")}
    assert metrics
    copied.ok("evaluate", "--force", "--dask", address)
    again = content(copied.folder / "runs")
    assert all(again[name] == data for name, data in metrics.items())
