"""Many items, many workers."""

import functools
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from spikeseg.errors import InputError
from spikeseg.pipelines.runtime.parallel import DEATHS, Workers, ordered


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_results_keep_the_order_of_the_items(jobs, threads):
    assert list(ordered(abs, [-3, 1, -2], Workers(jobs), threads=threads)) == [3, 1, 2]


@pytest.mark.parametrize("threads", [True, False])
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_worker_raises_is_raised(jobs, threads):
    with pytest.raises(ZeroDivisionError):
        list(ordered((1).__truediv__, [1, 0], Workers(jobs), threads=threads))


def die_once(folder: str, item: int) -> tuple[int, int]:
    """Kill the process that works on item 3, the first time."""
    mark = Path(folder) / "died"
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (Path(folder) / f"{item}-{time.time_ns()}").touch()
    return item, os.getpid()


def die(item: int) -> int:
    if item == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_what_a_worker_did_that_died_is_done_again(tmp_path):
    found = list(ordered(functools.partial(die_once, str(tmp_path)), range(9), Workers(2)))
    assert [item for item, _ in found] == list(range(9)) and (tmp_path / "died").exists()
    assert os.getpid() not in {pid for _, pid in found}


def test_an_item_that_kills_every_worker_is_given_up():
    with pytest.raises(InputError, match=rf"--jobs 2: workers died {DEATHS} times in a row at item [123] of 5"):
        list(ordered(die, range(5), Workers(2)))


def test_no_cluster_is_one_line():
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match=r"--dask tcp://127.0.0.1:9: no scheduler answers"):
        list(ordered(abs, [1], Workers(dask="tcp://127.0.0.1:9")))


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'spikeseg\[dask\]'"):
        list(ordered(abs, [1], Workers(dask="tcp://127.0.0.1:9")))
