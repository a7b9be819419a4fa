"""Every backend exports the same operations, with the same parameters."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys

import pytest

from spikeseg.ops import BACKENDS, reference


@pytest.fixture(params=BACKENDS)
def ops(request):
    if request.param == "cuda":
        return request.getfixturevalue("triton_ops")
    return importlib.import_module(f"spikeseg.ops.{request.param}")


def parameters(operation):
    """Names, kinds and defaults."""
    return [(p.name, p.kind, p.default) for p in inspect.signature(operation).parameters.values()]


def test_the_same_operations_with_the_same_parameters(ops):
    assert ops.__all__ == sorted(reference.__all__)
    for name in ops.__all__:
        assert parameters(getattr(ops, name)) == parameters(getattr(reference, name)), name
    assert parameters(ops.Training.run) == parameters(reference.Training.run)


def test_no_submodule_takes_the_name_of_an_operation(ops):
    modules = [module.name for module in pkgutil.iter_modules(ops.__path__)]
    assert modules and not set(modules) & set(ops.__all__)
    for module in modules:
        importlib.import_module(f"{ops.__name__}.{module}")
    assert all(callable(getattr(ops, name)) and not inspect.ismodule(getattr(ops, name)) for name in ops.__all__)


def test_core_and_ops_need_only_torch_numpy_and_triton():
    """So that kernels can be tested on a GPU machine that has nothing else."""
    pytest.importorskip("triton", reason="the cuda backend needs triton")
    others = ("norse", "tonic", "zarr", "click", "numba", "llvmlite", "scipy", "yaml", "h5py", "sklearn", "skimage", "tqdm")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({others!r}))\n"
        "import spikeseg.core.sparse, spikeseg.core.neurons, spikeseg.core.packing, spikeseg.ops.device\n"
        "import spikeseg.ops.reference, spikeseg.ops.cuda\n"
        "print(sorted({m.split('.')[1] for m in sys.modules if m.startswith('spikeseg.')}))"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "['core', 'errors', 'ops']", done.stderr
