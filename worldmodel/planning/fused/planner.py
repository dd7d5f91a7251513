"""One CEM plan as one kernel: rollouts of all candidates, distance, choice of the elites and refit, without leaving the GPU.

The same planner as planning/cem.py, on the same noise: a plan in eager torch starts thousands of kernels of a few microseconds,
and at the size of these networks a GPU waits for them most of the time. Here a plan is one launch, and a batch of plans a grid.
What differs is the order of sums in fp32 (`experiments/bench/fused.py` says by how much).

Runs where Triton finds a GPU. Without one, interpreter.py runs the same kernel in Triton's interpreter.
Shapes: B plans, S candidates, V variables, H steps, A action, D latent, I iterations.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.costs import Goal, finite_goal
from spikeplan.worldmodel.planning.fused.weights import KernelWeights, kernel_weights, padded

WARPS = 8
PRODUCTS = {"fp32": "ieee", "tf32": "tf32", "fp16": "ieee"}  # tl.dot's input_precision


class Tile(NamedTuple):
    """Candidates that run through the network side by side, and neurons of the first hidden layer that are held at once."""

    candidates: int
    neurons: int


# The largest whose activations stay in a GPU's registers (tests/worldmodel/fused/test_compiled.py); fp32 has no tensor cores.
TILES = {"fp32": Tile(32, 16), "tf32": Tile(64, 32), "fp16": Tile(64, 16)}


class FusedTrace(NamedTuple):
    """What a PlanTrace has, and every candidate's rank: 0 is the cheapest, and ranks below `elites` are the elites."""

    cost_IBS: Tensor
    mean_IBVA: Tensor
    spread_IBVA: Tensor
    rank_IBS: Tensor
    best_cost_B: Tensor
    best_action_BA: Tensor


def kernel_module() -> Any:
    """kernel.py. Raises UserError where Triton is not installed."""
    try:
        return import_module("spikeplan.worldmodel.planning.fused.kernel")
    except ImportError as error:
        raise UserError(
            f"fused plan: Triton is not installed ({error}); it is the extra `fused`, or plan with cem"
        ) from error


def kernel_settings(
    weights: KernelWeights, config: CEMConfig, *, action_dim: int, spread: str, precision: str, tile: Tile
) -> dict[str, Any]:
    """The kernel's constants: a compiled kernel is for these."""
    hidden_1, hidden_2 = weights.w2.shape
    return {
        "samples": config.samples,
        "iterations": config.iterations,
        "elites": config.elites,
        "horizon": config.horizon,
        "chunk": config.chunk,
        "variables": config.variables,
        "actions": action_dim,
        "block": min(tile.candidates, padded(config.samples)),
        "latent_pad": weights.w3.shape[1],
        "action_pad": weights.w1a.shape[0],
        "flat_pad": padded(config.variables * action_dim),
        "hidden_1_pad": hidden_1,
        "hidden_2_pad": hidden_2,
        "slice_1": min(tile.neurons, hidden_1),
        "squared": config.energy == "mse",
        "last_only": config.reduce == "last",
        "mad": spread == "mad",
        "products": PRODUCTS[precision],
    }


class FusedPlanner:
    """The cross-entropy method in one kernel, for the dense residual predictor and the latent distance.

    Args:
        module: a ResidualPredictor with two hidden layers.
        config: samples, iterations, elites, horizon, chunk, sigma and its floor, energy, reduce.
        action_limit: actions lie within plus and minus this.
        spread: of the elites, "std" or "mad".
        precision: of weights and of what they are multiplied with: fp32, tf32 (tensor cores) or fp16; sums are fp32.
        device: where it runs; "cpu" in Triton's interpreter alone (interpreter.py).
        tile: of the work inside a program, powers of two; None: what fits a GPU's registers, all at once on "cpu".

    Raises UserError where Triton is missing, where there is no GPU, for a network that the kernel does not run and for an
    unknown spread or precision.

    >>> planner = FusedPlanner(model.predictor, model.planner, action_limit=0.1, precision="fp16")
    >>> action_BA, mean, trace = planner.plan(latent_BD, goal_BD, noise_BSVA)
    """

    def __init__(
        self,
        module: Any,
        config: CEMConfig,
        *,
        action_limit: float,
        spread: str = "std",
        precision: str = "fp32",
        device: str = "cuda",
        tile: Tile | None = None,
    ) -> None:
        if spread not in ("std", "mad"):
            raise UserError(f"fused plan: spread {spread!r} is unknown; use std or mad")
        weights = kernel_weights(module, precision)
        self.kernel = kernel_module().cem_kernel
        compiled = isinstance(self.kernel, import_module("triton.runtime.jit").JITFunction)
        if device == "cpu" and compiled:
            raise UserError(
                "fused plan: a compiled kernel needs a GPU; use interpreted_plans, which runs it without one"
            )
        if device != "cpu" and not torch.cuda.is_available():
            raise UserError("fused plan: this torch finds no GPU; use interpreted_plans, or plan with cem")
        self.weights = KernelWeights(*(each.to(device) for each in weights))
        self.config, self.limit, self.device = config, action_limit, device
        self.latent_dim, self.action_dim = module.latent_dim, module.action_dim
        whole = Tile(padded(config.samples), weights.w2.shape[0])
        self.settings = kernel_settings(
            weights,
            config,
            action_dim=self.action_dim,
            spread=spread,
            precision=precision,
            tile=tile or (whole if device == "cpu" else TILES[precision]),
        )

    def buffers(self, plans: int) -> dict[str, Tensor]:
        """What the kernel writes, allocated once; `launch` may use them again."""
        c = self.config

        def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=self.device)

        ends = (c.iterations + 1, plans, c.variables, self.action_dim)
        return {
            "latent": torch.zeros(plans, padded(self.latent_dim), device=self.device),
            "goal": torch.zeros(plans, padded(self.latent_dim), device=self.device),
            "noise": empty(plans, c.samples, c.variables, self.action_dim),
            "mean": torch.zeros(ends, device=self.device),
            "spread": torch.full(ends, c.sigma * self.limit, device=self.device),
            "cost": empty(c.iterations, plans, c.samples),
            "rank": empty(c.iterations, plans, c.samples, dtype=torch.int32),
            "best_cost": empty(plans),
            "best_action": empty(plans, self.action_dim),
        }

    def launch(self, buffers: dict[str, Tensor]) -> None:
        """The kernel alone, queued: nothing is copied, checked or waited for."""
        plans = len(buffers["latent"])
        self.kernel[(plans,)](
            *buffers.values(),
            *self.weights,
            self.limit,
            self.config.sigma_floor * self.limit,
            math.sqrt(math.pi / 2),
            plans,
            **self.settings,
            num_warps=WARPS,
            num_stages=1,
        )

    @torch.no_grad()
    def plan(
        self, latent_BD: Tensor, goal: Tensor | Goal, noise_BSVA: Tensor, warm: Tensor | None = None
    ) -> tuple[Tensor, Tensor, FusedTrace]:
        """One action for each of B plans: action (B, A), mean (B, V, A), and the trace, as CEMPlanner.plan.

        Raises UserError where a latent or a cost is not finite, and for places to keep out of, which the kernel does not price.
        """
        wanted = finite_goal(latent_BD, goal)
        if wanted.places:
            raise UserError("fused plan: it prices no places to keep out of; plan with cem")
        found = self.buffers(len(latent_BD))
        found["latent"][:, : self.latent_dim] = latent_BD
        found["goal"][:, : self.latent_dim] = wanted.goal_BD
        found["noise"].copy_(noise_BSVA)
        if warm is not None:
            found["mean"][0] = warm
        self.launch(found)
        if not torch.isfinite(found["cost"]).all():
            raise UserError("planner: a cost is not finite; the predictor diverged (check its checkpoint)")
        mean = found["mean"][-1]
        trace = FusedTrace(
            found["cost"],
            found["mean"][1:],
            found["spread"][1:],
            found["rank"],
            found["best_cost"],
            found["best_action"],
        )
        return mean[:, 0], mean, trace
