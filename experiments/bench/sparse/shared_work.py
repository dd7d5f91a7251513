"""`spikeplan bench shared_work`: what candidates have in common and what a distance costs, each alone and on both sides.

KeepOut's copies are planned by the shipped networks of width 64 and 96, densely and in spikes, at three budgets:

    plain            each copy computes all of its own; absolute distances to every image
    shared           the policy's first pass, what it is told and the latent that copies start from are computed once
    squared          squared distances to the goal and to the middle of each place, as inner products
    squared shared   both
    primitives       both, and copies stray in one of four directions in place of any
    waiting          shared and squared, and neurons of the loop update while they wait, placed on one Loihi 2; `host`: a host
                     finds the winner. Cores that slept while nothing reaches them, or robots enough to fill the pipe, would pay
                     what `squared_shared` says: hypothetical, as Loihi 2 updates every neuron in every step

Synop-equivalents an action of the whole loop, encoder aside, the pipe full; episodes that no training saw. Sharing changes no
action, so that its success is the plain one's. Spikes are sent as changes of zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from rich.console import Console
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import POLICY, TO_GO, Bundle, load_bundle
from spikeplan.evaluation.shard import one_thread
from spikeplan.experiments.bench.planned import run
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.sparse.front import TASK, budgets_of
from spikeplan.experiments.bench.sparse.measured import REPORTED, dense, taken, waited
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.policies.pair import Pair

EPISODES = 300
DIRECTIONS = 4


@dataclass(frozen=True, kw_only=True)
class Way:
    """How copies are planned. `primitives`: of how many directions copies stray in; None: of any. `waits`: whether spikes are
    also counted while they wait."""

    name: str
    cost: str | None = None
    shared: bool = False
    primitives: int | None = None
    waits: bool = False


WAYS = (
    Way(name="plain"),
    Way(name="shared", shared=True),
    Way(name="squared", cost="squared"),
    Way(name="squared_shared", cost="squared", shared=True, waits=True),
    Way(name="primitives", cost="squared", shared=True, primitives=DIRECTIONS),
)
NETWORKS = (("dense", 64), ("dense", 96), ("spiking", 96))


def pair_of(bundle: Bundle, side: str, width: int, shared: bool) -> Pair:
    """The shipped networks. Raises UserError where this width has no policy in spikes."""
    policy, value = bundle.policy(), bundle.cost_to_go()
    if side == "dense":
        return dense((bundle.guided_narrow(width), policy, value), shared)
    acting, judging = bundle.acting(POLICY, width), bundle.acting(TO_GO, width)
    if acting is None or judging is None:
        raise UserError(f"{bundle.acting_in(width)}: no policy was fine-tuned together with it; train both")
    return Pair(
        DeltaPredictor(bundle.guided_narrow_artifact(width), shared=shared),
        DeltaPolicy(acting, action_limit=policy.action_limit, shared=shared),
        DeltaPolicy(judging, action_limit=value.action_limit, output="value", shared=shared),
    )


def stray_in(directions: int, noise_BSA: Tensor) -> Tensor:
    """Perturbations of two numbers turned to the nearest of so many directions, all of them of the mean length of a normal one;
    those that stray nowhere stay."""
    turn = 2 * torch.pi / directions
    angle = (torch.atan2(noise_BSA[..., 1], noise_BSA[..., 0]) / turn).round() * turn
    length = (noise_BSA.norm(dim=-1) > 0).to(noise_BSA.dtype) * (torch.pi / 2) ** 0.5
    turned: Tensor = torch.stack([angle.cos(), angle.sin()], -1) * length[..., None]
    return turned


def bench_shared_work(
    console: Console,
    *,
    episodes: int = EPISODES,
    networks: tuple[tuple[str, int], ...] = NETWORKS,
    budgets: list[GuidedConfig] | None = None,
) -> list[BenchRow]:
    """A row each network, budget and way, beside the plain one of the same network at the task's cheapest budget."""
    one_thread()
    bundle = load_bundle(TASK)
    known = budgets_of(TASK)
    chosen = budgets or [one for one in known if one.spread == known[0].spread]
    rows = []
    with progress_bar(console) as bar:
        shown = bar.add_task("bench shared_work", total=len(networks) * len(chosen) * len(WAYS))
        for side, width in networks:
            plain: float | None = None
            for config in chosen:
                for way in WAYS:
                    costs, judging, success = _planned(bundle, side, width, config, way, episodes)
                    plain = costs[way.name] if plain is None else plain
                    rows += [
                        BenchRow(
                            name=f"{side}_{width}_{config.samples}_H{config.horizon}_{name}",
                            ours=taken_all,
                            other=plain,
                            ratio=taken_all / plain,
                            unit=f"synop-equivalents an action; success {success:.3f}; evaluation and selection {judging:.0f}; "
                            f"other: plain {chosen[0].label}",
                        )
                        for name, taken_all in costs.items()
                    ]
                    bar.advance(shown)
    return rows


def _planned(
    bundle: Bundle, side: str, width: int, config: GuidedConfig, way: Way, episodes: int
) -> tuple[dict[str, float], float, float]:
    """Synop-equivalents, by the row's name; what of the first evaluation and selection take; and success."""
    perturb = None if way.primitives is None else partial(stray_in, way.primitives)
    pair = pair_of(bundle, side, width, way.shared)
    done = run(bundle, pair, config, "zero", episodes, REPORTED, way.cost, perturb=perturb)
    costs = {way.name: taken(done.op_counts, 0)}
    if way.waits and pair.spiking:
        costs["waiting"] = costs[way.name] + waited(bundle, pair, done)
        costs["waiting_host"] = costs[way.name] + waited(bundle, pair, done, host_selects=True)
    return costs, taken(done.op_counts, 0, phases=("evaluation", "selection")), float(done.success_KN.mean())
