"""The Triton kernels compiled for real GPUs, without one: as they are launched on full frames, and that nothing is contracted."""

import json
import os
import subprocess
import sys
import tempfile

import pytest
import torch

MAPS, CHANNELS, KERNEL, STEPS, SIZE = 36, 4, 5, 10, (90, 120)


def recorded():
    """Launches of all operations on full frames, with nothing launched: {(kernel, constants): (function, arguments)}."""
    import numpy as np
    from triton.runtime.jit import JITFunction

    launches = {}

    def record(kernel, grid):
        def launch(*args, **options):
            named = dict(zip(kernel.arg_names, args, strict=False)) | {k: v for k, v in options.items() if k in kernel.arg_names}
            rest = {k: v for k, v in options.items() if k not in kernel.arg_names}
            constants = {k: v for k, v in named.items() if not isinstance(v, torch.Tensor)}
            launches[kernel.fn.__name__, json.dumps({**constants, "slot": 0})] = kernel, named, rest

        return launch

    JITFunction.__getitem__ = record
    from spikeseg.core.neurons import LeakMode
    from spikeseg.core.sparse import SpikeLists
    from spikeseg.ops import cuda
    from spikeseg.ops.types import (
        BlockThreshold,
        Layer,
        LearningState,
        MapHomeostasis,
        NeuronHomeostasis,
        Plasticity,
        PlasticityForm,
        PooledSpikes,
        TrainingRule,
    )

    wins, thresholds = torch.zeros(MAPS, dtype=torch.int64), torch.ones(MAPS)
    weight = torch.rand(MAPS, CHANNELS, KERNEL, KERNEL)
    lists = SpikeLists(np.zeros(STEPS + 1, np.int64), np.zeros(0, np.int32), (STEPS, CHANNELS, *SIZE))
    for wta, mode, maps, competition, most in (
        ("both", LeakMode.SUBTRACTIVE, MapHomeostasis(0.1, 0.02, 500.0, 10.0), NeuronHomeostasis(0.1, 0.001, 0.1, 10.0), None),
        ("global", LeakMode.MULTIPLICATIVE, None, None, 5),
        ("local", LeakMode.NONE, None, None, None),
    ):
        rule = TrainingRule(
            mode,
            0.5,
            0.1,
            Plasticity(PlasticityForm(wta == "local"), 0.04, 0.03, 0.0, 1.0),
            wta,
            2,
            most,
            competition,
            maps,
            True,
            0.01,
            100,
            1,
        )
        state = LearningState(weight.clone(), thresholds.clone(), thresholds.clone(), wins, wins, wins)
        cuda.Training(state, rule).run(lists, np.array([0]))
    first = Layer(torch.rand(4, 2, 7, 7) - 0.5, torch.ones(4), LeakMode.SUBTRACTIVE, 0.25, (2, 2))
    second = Layer(weight, thresholds, LeakMode.MULTIPLICATIVE, 0.5, (3, 2))
    third = Layer(torch.rand(2, MAPS, 7, 7), torch.ones(2), LeakMode.NONE, 0.0, None)
    blocks = BlockThreshold(torch.ones(1, 4, 12, 15), 16)
    for peak in (1, 300):
        cuda.encode(np.full((1, STEPS, 2, 180, 240), peak, np.uint16), [first, second, third], blocks if peak > 1 else None)
    small = np.ones((1, STEPS, 2, 3, 3), np.uint8)
    given = PooledSpikes(SpikeLists.of(np.ones((1, STEPS, 4, 2, 2), np.uint8)), np.zeros(STEPS * 16, np.int32))
    cuda.trace(small, [first], [given], delay_connections=True, decay=0.9)
    spikes = torch.ones(STEPS, 1, CHANNELS, *SIZE)
    cuda.layer_forward(spikes, weight, thresholds, LeakMode.MULTIPLICATIVE, 0.5)
    cuda.pool(spikes, spikes, 2, 2)
    first_steps = torch.zeros(CHANNELS, *SIZE, dtype=torch.int64)
    plasticity = Plasticity(PlasticityForm.MULTIPLICATIVE, 0.04, 0.03, 0.0, 1.0)
    cuda.stdp_update(weight, first_steps, torch.zeros(2, 4, dtype=torch.int64), plasticity)
    return launches


def compiled(kernel, named, options, capability):
    """PTX and machine code of a launch, specialised as the launcher does."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    kinds = {torch.float64: "*fp64", torch.float32: "*fp32", torch.int64: "*i64", torch.int32: "*i32", torch.int8: "*i8",
             torch.uint8: "*u8"}  # fmt: skip
    signature, constants, attributes = {}, {}, {}
    for i, parameter in enumerate(kernel.params):
        value = named[parameter.name]
        if parameter.is_constexpr or (value == 1 if type(value) is int and not parameter.do_not_specialize else False):
            signature[parameter.name], constants[parameter.name] = "constexpr", value
            continue
        signature[parameter.name] = kinds[value.dtype] if isinstance(value, torch.Tensor) else "i32"
        if not parameter.do_not_specialize and (isinstance(value, torch.Tensor) or value % 16 == 0):
            attributes[(i,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constants, attributes)
    assembly = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options).asm
    return assembly["ptx"], assembly["cubin"]


def contractions(cubin):
    """Fused multiply-adds of float32 in machine code."""
    import triton

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        listing = subprocess.run(
            [triton.knobs.nvidia.cuobjdump.path, "-sass", file.name], capture_output=True, text=True, check=True
        ).stdout
    assert "FMUL" in listing and "FADD" in listing
    return listing.count("FFMA")


def main():
    """One line of JSON per compiled launch: what it is, and how often what it may not hold, and must hold, occurs."""
    for (name, variant), (kernel, named, options) in recorded().items():
        targets = [(90, False)]
        constants = json.loads(variant)
        if name in ("apply_stdp", "weaken") or (name == "settle" and constants["BY_MAP"] and constants["BY_POSITION"]):
            targets += [(80, False), (90, True)]
        for capability, fused in targets:
            ptx, cubin = compiled(kernel, named, options | {"enable_fp_fusion": fused or options["enable_fp_fusion"]}, capability)
            counts = {"fma": "fma.rn.f", "div": "div.rn.f32", "products": "s32.s8.s8", "barriers": "bar.sync"}
            found = {what: ptx.count(text) for what, text in counts.items()}
            if name == "apply_stdp":  # it does not divide: a division is made of such instructions
                found["machine"] = contractions(cubin)
            print(json.dumps({"kernel": name, "capability": capability, "fused": fused, **found}), flush=True)


@pytest.fixture(scope="module")
def launches(tmp_path_factory):
    """What `main` prints, from a process in which Triton compiles."""
    pytest.importorskip("triton", reason="the cuda backend needs triton")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_kernel_compiles_for_full_frames(launches):
    kernels = {"unpack", "first_spikes", "settle", "adapt_competition", "apply_stdp", "forward", "pool_dense"}
    kernels |= {"fill_planes", "infer", "tally", "list_spikes", "descend", "weaken"}
    assert {launch["kernel"] for launch in launches if launch["capability"] == 90} == kernels


def test_products_are_of_integers_on_tensor_cores(launches):
    counts = {
        name: [one["products"] for one in launches if one["kernel"] == name] for name in ("first_spikes", "infer", "forward")
    }
    events, counts["infer"] = counts["infer"][::2], counts["infer"][1::2]  # two launches of a layer; the first adds weights
    assert all(counts.values()) and all(min(found) > 0 for found in counts.values()) and not any(events)


def test_nothing_is_contracted_and_division_is_exact(launches):
    rounding = [launch for launch in launches if launch["kernel"] in ("settle", "apply_stdp", "weaken")]
    assert {launch["capability"] for launch in rounding} == {80, 90}
    assert not any(launch["fma"] for launch in launches if not launch["fused"])
    contracted = {launch["kernel"] for launch in rounding if launch["fused"] and launch["fma"]}
    assert contracted > {"weaken"}, "the count finds contractions where they are allowed"
    assert any(launch["div"] for launch in rounding)
    machine = {(one["capability"], one["fused"]): one["machine"] for one in launches if "machine" in one}
    assert machine == {(80, False): 0, (90, False): 0, (90, True): 0}, "a selection stands between product and sum: ptxas cannot"


def test_winners_are_taken_behind_barriers(launches):
    assert all(launch["barriers"] for launch in launches if launch["kernel"] == "settle")


if __name__ == "__main__":
    main()
