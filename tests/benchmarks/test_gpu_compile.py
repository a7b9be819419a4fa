"""Kernels of the cuda backend compiled for a GPU that is not there, and run from the compiled code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """What `gpu_probe` prints, from a process in which Triton compiles."""
    triton = pytest.importorskip("triton", reason="the cuda backend needs triton")
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    for name in ("ptxas", "cuobjdump"):
        if not (tools / name).is_file() and not shutil.which(name):
            pytest.skip(f"this triton brings no {name}")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    script = Path(__file__).with_name("gpu_probe.py")
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_what_is_launched_compiles_and_is_exact(probe):
    assert {one["kernel"] for one in probe["compiled"]} == set(probe["launched"])
    assert len(probe["launched"]) >= 2
    assert [one["faults"] for one in probe["compiled"] if one["faults"]] == []
    assert all(one["registers"] > 0 and one["instructions"] > 10 and one["warps"] for one in probe["compiled"])


def test_compiled_code_learns_what_the_cpu_learns(probe):
    assert probe["changed"] and probe["wins"]
    assert probe["differ"] == []


def test_what_it_costs_is_counted(probe):
    assert {name for name, *_ in probe["costs"]} == set(probe["launched"])
    assert all(instructions > 0 and 0 < best <= worst for _, instructions, best, worst in probe["costs"])
    assert all(0.7 < scale < 1.6 for scale in probe["scales"].values())  # with unrolled loops that of `settle` is 1.69


def test_variants_are_those_of_the_launchers(probe):
    names = [variant.partition(":")[0] for variant in probe["variants"]]
    assert len(probe["variants"]) == len(set(probe["variants"]))
    assert set(names) == set(probe["launched"])
    assert len(probe["more"]) > len(names)  # 128 maps are another code
    assert probe["encoded"]


def test_each_check_can_fail(probe):
    faults = probe["faults"]
    assert any("contracts: fma.rn.f32" in fault for fault in faults["contracted"])
    assert {"is approximate: div.full.f32"} <= set(faults["approximate"]) and any(
        "ex2" in fault for fault in faults["approximate"]
    )
    assert len(faults["wrong"]) == 1 and faults["wrong"][0].startswith("does not compile: CompilationError")
    assert len(probe["doctored"]) == 2 and "spills 4096 bytes" in probe["doctored"][0] and "shared memory" in probe["doctored"][1]
    assert probe["fits"] == []


def test_an_address_outside_every_tensor_is_an_error(probe):
    assert "addresses of no tensor" in probe["beyond"]


def test_arithmetic_of_ptx(script):
    gpu = script("gpu_arithmetic")
    u, s = np.uint32, np.int32
    assert gpu.quotient(np.array([-7, 7], s), np.array([2, -2], s)).tolist() == [-3, -3]
    assert gpu.remainder(np.array([-7, 7], s), np.array([2, -2], s)).tolist() == [-1, 1]
    assert gpu.shifted(np.array([-8], s), np.array([40], u), left=False).tolist() == [-1]
    assert gpu.shifted(np.array([8], u), np.array([32], u), left=True).tolist() == [0]
    assert gpu.field_of(np.array([0xF0], s), np.array([4], u), np.array([4], u)).tolist() == [-1]
    assert gpu.field_of(np.array([0xF0], u), np.array([4], u), np.array([4], u)).tolist() == [15]
    assert gpu.permuted(np.array([0x33221100], u), np.array([0x77665544], u), np.array([0x7250], u)).tolist() == [0x77225500]
    assert gpu.converted(np.array([-1.5, 3e9], np.float32), "s32", ("rzi",)).tolist() == [-1, 2**31 - 1]
    assert gpu.converted(np.array([-1.5], np.float32), "f32", ("rmi",)).tolist() == [-2.0]
    assert gpu.high_product(np.array([1 << 31], u), np.array([6], u)).tolist() == [3]
    assert gpu.dot4(np.array([0x01FF0203], u), np.array([0x01010101], u), np.array([1], u), ("s32", "s32")).tolist() == [6]
    assert gpu.leading_zeros(np.array([1, 0], u)).tolist() == [31, 32]
    assert gpu.funnel(np.array([0x80000000], u), np.array([1], u), np.array([1], u), left=True).tolist() == [3]


def test_ptx_is_understood(script):
    program = script("gpu_ptx").parsed(
        """.extern .shared .align 16 .b8 global_smem[];
        .visible .entry k(.param .u64 .ptr .global .align 1 k_param_0, .param .u32 k_param_1) .reqntid 64
        { .reg .pred %p<3>;
          .reg .b32 %r<9>;
          ld.param.b32 %r1, [k_param_1]; // a comment
        $L__BB0_1:
          .loc 1 7 0
          .loc 1 0 0
          @!%p1 bra $L__BB0_1;
          st.shared.v2.b32 [%r3+8], {%r1, %r2};
          ret;
        }
        .file 1 "/somewhere/kernels.py"
        """
    )
    assert program.threads == 64 and list(program.parameters) == ["k_param_0", "k_param_1"]
    assert program.width("%r7") == 32 and program.width("%p2") == 1
    assert [one.name for one in program.instructions] == ["ld.param.b32", "bra", "st.shared.v2.b32", "ret"]
    assert (
        program.instructions[1].guard == "%p1"
        and program.instructions[1].negated
        and program.instructions[1].line == "kernels.py:7"
    )
    assert program.instructions[2].operands == ("[%r3+8]", ("%r1", "%r2"))
    assert program.leaders == [0, 1, 2]


def test_a_barrier_and_the_end_wait_for_what_is_stored(script):
    model, parsed = script("gpu_model"), script("gpu_ptx").parsed
    load, store, barrier = parsed(
        """.visible .entry k() .reqntid 32
        { .reg .b32 %r<3>; .reg .b64 %rd<2>;
          ld.global.b32 %r1, [%rd1];
          st.shared.b32 [%r2], %r1;
          bar.sync 0;
        }"""
    ).instructions
    clock = model.Clock(parsed(".visible .entry k() { }"), 2, 2, 1.0)
    clock.begin(np.array([True, False]))  # of two warps the first
    clock.did(load, model.FAR)
    clock.did(store, 0.0)
    assert clock.slowest() == model.FAR
    clock.begin(None)
    clock.wait(barrier)
    assert clock._now.tolist() == [model.FAR, 1.0]
    clock.meet(np.array([True]))
    assert clock.slowest() == model.FAR + model.BARRIER
