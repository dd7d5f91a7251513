"""The kernel compiles for GPUs, which needs none, and what it holds stays in their registers and shared memory."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import torch

from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.fused.planner import TILES, WARPS, kernel_settings
from spikeplan.worldmodel.planning.fused.weights import MOST_HIDDEN, MOST_LATENT, kernel_weights
from spikeplan.worldmodel.predictor import ResidualPredictor

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="an interpreted kernel is not compiled"),
]

# Bytes of shared memory a block may have: CUTLASS, smem_capacity of its Python DSL (8.0, 8.9, 9.0); for 8.7 the least of them.
SHARED = {80: 163 << 10, 87: 99 << 10, 89: 99 << 10, 90: 227 << 10}


def compiled(
    arch: int, precision: str, module: ResidualPredictor, config: CEMConfig, folder: Path, spread: str = "std"
):
    """(bytes of shared memory, registers, bytes of stack) of the kernel as `FusedPlanner` would launch it."""
    triton = pytest.importorskip("triton", reason="Triton is not installed (the extra `fused`)")
    from triton.backends.compiler import GPUTarget
    from triton.backends.nvidia import __file__ as nvidia
    from triton.compiler import ASTSource

    from spikeplan.worldmodel.planning.fused.kernel import cem_kernel

    weights = kernel_weights(module, precision)
    constants = kernel_settings(
        weights, config, action_dim=module.action_dim, spread=spread, precision=precision, tile=TILES[precision]
    )
    half = {name for name, value in weights._asdict().items() if value.dtype == torch.float16}
    scalars = {"limit": "fp32", "least_spread": "fp32", "spread_factor": "fp32", "plans": "i32", "rank": "*i32"}
    signature = {
        name: "constexpr" if name in constants else scalars.get(name, "*fp16" if name in half else "*fp32")
        for name in cem_kernel.arg_names
    }
    aligned = {(at,): [["tt.divisibility", 16]] for at, kind in enumerate(signature.values()) if kind[0] == "*"}
    found = triton.compile(
        ASTSource(cem_kernel, signature, constants, aligned),
        target=GPUTarget("cuda", arch, 32),
        options={"num_warps": WARPS, "num_stages": 1},
    )
    code = folder / "kernel.cubin"
    code.write_bytes(found.asm["cubin"])
    tool = Path(nvidia).with_name("bin") / "cuobjdump"
    said = subprocess.run([tool, "-res-usage", code], capture_output=True, text=True, check=True).stdout
    registers, stack = map(int, re.search(r"REG:(\d+) STACK:(\d+)", said).groups())
    return found.metadata.shared, registers, stack


@pytest.mark.parametrize("arch", SHARED)
@pytest.mark.parametrize("precision", TILES)
def test_the_shipped_network_stays_in_registers(arch, precision, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    config = CEMConfig(chunk=3)
    shared, registers, stack = compiled(arch, precision, ResidualPredictor(32, 2, (256, 256)), config, tmp_path)
    assert 0 < shared <= SHARED[arch]
    assert 0 < registers <= 255 and stack == 0, "spilled to memory"


@pytest.mark.parametrize("precision", TILES)
def test_the_widest_network_fits_with_every_other_setting(precision, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    config = CEMConfig(samples=300, elites=30, chunk=1, energy="mse", reduce="last")
    module = ResidualPredictor(MOST_LATENT, 7, (MOST_HIDDEN, MOST_HIDDEN))
    shared, _, stack = compiled(90, precision, module, config, tmp_path, spread="mad")
    assert 0 < shared <= SHARED[90] and stack < 1024
