"""`spikeplan bench wide`: a wide predictor, trained for cost, on the hardest task that trains here.

Random doors are the task where a wider predictor errs less far ahead. Predictors of several widths learn true transitions of the
frozen encoder's latents; the widest is then fine-tuned for synops with its weights pruned meanwhile, on what the dense one
imagined for a policy's copies. All plan with the same dense policy, which is counted on both sides.

    wide_equivalents_vs_dense       ours beside the cheapest dense predictor and budget that is as good as the best dense one
    wide_equivalents_vs_own_dense   ours beside the same network run densely

One set of episodes chooses, another is reported. One world model, one seed. Synop-equivalents an action, encoder aside.
Shapes: N clips, T frames, B records, S copies, H steps, D latent, A action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from spikeplan.core.descent import descend
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.recorded_plans import calibration_of
from spikeplan.evaluation.shard import one_thread
from spikeplan.evaluation.training.sigma_delta import fine_tuned_alone
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.sparse.compared import beside, cheapest, chosen_of, level_of
from spikeplan.experiments.bench.sparse.measured import Measured, measured, row_of
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.finetune_delta import DeltaTraining, Rollouts
from spikeplan.snn.sparse_training import SparseTraining
from spikeplan.worldmodel.data import draw_clips
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.planning.guided import GuidedPlanner, GuidedTrace
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import DensePredictor, ResidualPredictor
from spikeplan.worldmodel.tasks import make_world

TASK = "two-room-random"
BUDGETS = (GuidedConfig(samples=4, horizon=4), GuidedConfig(samples=8, horizon=12))
RECORDED = GuidedConfig(samples=8, horizon=6)  # what spikes learn from
RECORD_SEED = 5_500_000
CALIBRATED = 20_000  # pairs
TUNED = 5  # steps of dense training that one of fine-tuning takes as long as, for the progress bar


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`clips`, `steps`, `rows`: that dense predictors learn from, and how. `tuning`, `sparse`: of the widest in spikes;
    `recorded`: episodes that its copies are recorded in."""

    widths: tuple[int, ...] = (64, 128, 256, 1024)
    clips: int = 10_000
    frames: int = 5
    steps: int = 3000
    rows: int = 256
    rate: float = 1e-3
    tuning: DeltaTraining = field(
        default_factory=lambda: DeltaTraining(steps=2000, records=16, candidates=4, rate_weight=0.1)
    )
    sparse: SparseTraining = field(default_factory=lambda: SparseTraining(pruned=0.8))
    recorded: int = 96
    episodes: int = 300


class Transitions(NamedTuple):
    latent_NTD: Tensor
    action_NTA: Tensor


def bench_wide(
    console: Console, settings: Settings | None = None, *, keep: Callable[[Measured], None] | None = None
) -> list[BenchRow]:
    """A row each network and budget, then what compares them. `keep`: gets each measured network at once."""
    one_thread()
    s, bundle = settings or Settings(), load_bundle(TASK)
    widest = max(s.widths)
    found: list[Measured] = []

    def add(pair: Pair, label: str, but: str) -> None:
        for config in BUDGETS:
            for one in measured(bundle, pair, config, "zero", label, s.episodes):
                if one.side != but:
                    found.append(one)
                    if keep is not None:
                        keep(one)

    with progress_bar(console) as bar:
        shown = bar.add_task("bench wide", total=len(s.widths) * s.steps + 2 * TUNED * s.tuning.steps + 1)
        data = transitions(bundle, s)
        bar.advance(shown)
        nets = {}
        for width in s.widths:
            nets[width] = learned(bundle, data, width, s, lambda: bar.advance(shown))
            add(_acting(bundle, DensePredictor(nets[width], shared=True)), f"{width}", but="2:4")
        for pruned in (0.0, s.sparse.pruned):
            sparse = None if not pruned else s.sparse
            spiking = tuned(bundle, nets[widest], sparse, s, lambda: bar.advance(shown, TUNED))
            add(_acting(bundle, spiking), f"{widest} pruned {pruned:g}", but="skipping")
    return [*(row_of(one) for one in found), *_rows(found)]


def transitions(bundle: Bundle, s: Settings) -> Transitions:
    """Latents of random walks, by the frozen encoder."""
    world, rng = make_world(TASK), np.random.default_rng(RECORD_SEED)
    parts = []
    with torch.no_grad():
        for first in range(0, s.clips, 250):
            clips = draw_clips(world, min(250, s.clips - first), s.frames, rng)
            latent = bundle.model.encoder.eval()(clips.image_BTCHW.flatten(0, 1))
            parts.append((latent.unflatten(0, clips.image_BTCHW.shape[:2]), clips.action_BTA))
    latent_NTD, action_NTA = (torch.cat(column) for column in zip(*parts, strict=True))
    return Transitions(latent_NTD, action_NTA)


def learned(bundle: Bundle, data: Transitions, width: int, s: Settings, step: Callable[[], None]) -> ResidualPredictor:
    """A predictor of two hidden layers, on spans of three steps: mean |z_hat[k] - z[k]|^2."""
    generator = torch.Generator().manual_seed(bundle.model.seed)
    with torch.random.fork_rng():
        torch.manual_seed(bundle.model.seed)
        net = ResidualPredictor(data.latent_NTD.shape[-1], data.action_NTA.shape[-1], (width, width))
    optimizer = torch.optim.AdamW(net.parameters(), s.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, s.rate, total_steps=s.steps, pct_start=0.1)

    def losses(_: int) -> dict[str, Tensor]:
        pick = torch.randint(len(data.latent_NTD), (s.rows,), generator=generator)
        z, total = data.latent_NTD[pick, 0], torch.zeros(())
        for k in range(min(3, s.frames - 1)):
            z = net(z, data.action_NTA[pick, k])
            total = total + (z - data.latent_NTD[pick, k + 1]).square().mean()
        return {"total": total}

    descend(
        range(1, s.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=None,
        progress=lambda number, row: step(),
    )
    return net.eval()


def tuned(
    bundle: Bundle, dense: ResidualPredictor, sparse: SparseTraining | None, s: Settings, step: Callable[[], None]
) -> DeltaPredictor:
    """The spiking form of a copy of `dense`, fine-tuned on what it imagined for copies of the policy."""
    records = _recorded(bundle, dense, s)
    made, _ = fine_tuned_alone(
        dense,
        [records],
        calibration_of([records], CALIBRATED),
        s.tuning,
        task=TASK,
        seed=bundle.model.seed,
        report=lambda row: step(),
        sparse=sparse,
    )
    return DeltaPredictor(made, sparse=sparse is not None, shared=True)


def _acting(bundle: Bundle, predictor: DensePredictor | DeltaPredictor) -> Pair:
    return Pair(predictor, DensePolicy(bundle.policy(), shared=True))


def _recorded(bundle: Bundle, dense: ResidualPredictor, s: Settings) -> Rollouts:
    """Futures of the policy's copies."""
    world = make_world(TASK)
    latent_of, config = ImageLatent(world, bundle.model.encoder), RECORDED
    planner = GuidedPlanner(
        _acting(bundle, DensePredictor(dense)), config, action_dim=world.action_dim, action_limit=world.action_limit
    )
    kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def keep(step: int, part: slice, latent: Tensor, goal: Tensor, trace: GuidedTrace) -> None:
        if step % 3 == 0:
            kept.append((latent, goal, trace.actions_BSHA, trace.latents_BSHD))

    drawn = world.sample(s.recorded, np.random.default_rng(RECORD_SEED))
    run_episodes(world, latent_of, planner, drawn, seed=RECORD_SEED, block=s.recorded, record=keep)
    latent_ND, goal_ND, actions_NSHA, latents_NSHD = (torch.cat(column) for column in zip(*kept, strict=True))
    return Rollouts(latent_ND, goal_ND, actions_NSHA, latents_NSHD)


def _rows(found: Sequence[Measured]) -> list[BenchRow]:
    level, mine = level_of(found)[0], chosen_of(found)
    own = next(one for one in found if one.side == "own dense" and one.label == mine.label)
    return [
        beside("wide_equivalents_vs_dense", 0.1, mine, cheapest(found, level, "dense"), found),
        beside("wide_equivalents_vs_own_dense", None, mine, own, found),
    ]
