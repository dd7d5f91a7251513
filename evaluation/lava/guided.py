"""Whole episodes of the guided planner in Lava, every plan compared with the integer reference, value by value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.bundle import Bundle
from spikeplan.evaluation.lava.row import loop_row
from spikeplan.evaluation.methods import METHODS, Site
from spikeplan.evaluation.rows import LavaLoopRow
from spikeplan.evaluation.shard import EPISODE_SEED
from spikeplan.evaluation.traffic import places_of
from spikeplan.lava_procs.guided.session import GuidedRecord, GuidedSession
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.planning.costs import Cost, Goal, goal_of
from spikeplan.worldmodel.planning.integer_guided import IntegerGuided, IntegerGuidedTrace
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.tasks import make_world

TIMEOUT_S = 600.0
METHOD = "guided-integer"


class GuidedLavaPlanner:
    """plan(latent (1, D), goal, seed (1,)) -> action (1, A), the winner's plan (1, H, A), GuidedRecord; checked on the way.

    Args:
        pair: sigma-delta predictor and policy, and their cost-to-go.
        places: how many places to keep out of each plan is given.
        layout: "fused" or "stepwise", see lava_procs/guided.

    `compared`, `different`: values of all plans so far against the integer reference's.
    """

    def __init__(
        self,
        pair: Pair,
        config: GuidedConfig,
        *,
        action_dim: int,
        action_limit: float,
        places: int,
        workdir: Path,
        cost: Cost | None = None,
        reference: str = "zero",
        layout: str = "fused",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.golden = IntegerGuided(
            pair, config, action_dim=action_dim, action_limit=action_limit, reference=reference, evaluator=cost
        )
        self.config, self.predictor = config, pair
        self.op_counts: OperationCounts | None = None  # the reference counts; it computes the same
        workdir.mkdir(parents=True, exist_ok=True)
        predictor, policy = self.golden.network.network.artifact, self.golden.policy.artifact
        value = None if self.golden.value is None else self.golden.value.artifact
        networks = [network for network in (policy, predictor, value) if network is not None]
        self.layers = [layer.name for network in networks for layer in network.layers]
        self.session = GuidedSession.open(
            artifact_file.save(policy, workdir / "policy.safetensors"),
            artifact_file.save(predictor, workdir / "predictor.safetensors"),
            self.golden.params(places),
            value_path=None if value is None else artifact_file.save(value, workdir / "value.safetensors"),
            timeout_s=timeout_s,
            workdir=workdir,
            reference=reference,
            layout=layout,
        )
        self.compared = self.different = self.saturated = 0
        self.seconds: list[float] = []
        self.messages: list[NDArray[np.int64]] = []

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        return self.golden.seeds(episodes, generator)

    def shift(self, mean_BVA: Tensor) -> Tensor:
        return mean_BVA

    @torch.no_grad()
    def plan(
        self,
        latent_BD: Tensor,
        goal: Tensor | Goal,
        noise_B: Tensor,
        warm: Tensor | None = None,
        *,
        record: bool = False,
    ) -> tuple[Tensor, Tensor, GuidedRecord]:
        """Raises UserError for more than one episode, and LavaError for a worker that died or is late."""
        if len(latent_BD) != 1:
            raise UserError(f"Lava: {len(latent_BD)} episodes at once; one loop plans one episode")
        z, told, places = self.golden.encoded(latent_BD, goal_of(goal))
        here, there, out = (each[0].numpy().astype(np.int64) for each in (z, told, places))
        action, found = self.session.plan(here, there, out, int(noise_B[0]))
        counted = OperationCounts(method=METHOD, reference=self.golden.reference, precision="int8", spiking=True)
        self.golden.op_counts = counted
        trace = self.golden.plan_integers(z, told, places, self.golden.noise_of(noise_B[:1]))
        self.golden.op_counts = None
        seen, wrong = differences(found, Reference.of(trace, counted, self.layers))
        self.compared, self.different = self.compared + seen, self.different + wrong
        self.seconds.append(found.seconds)
        self.messages.append(_messages(found))
        self.saturated += found.saturated
        plan = torch.from_numpy(found.actions_HSA[:, found.winner].astype(np.int64)).float() * self.golden.units.action
        return torch.from_numpy(action.astype(np.int64)).float()[None] * self.golden.units.action, plan[None], found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()


class Reference(NamedTuple):
    """One plan of the integer reference: its trace, messages of each layer, and everything that was clipped."""

    trace: IntegerGuidedTrace
    messages_L: NDArray[np.int64]
    saturated: int

    @classmethod
    def of(cls, trace: IntegerGuidedTrace, counted: OperationCounts, layers: list[str]) -> Self:
        messages, saturated = np.zeros(len(layers), np.int64), trace.saturated
        for (_, layer, _, _), counts in counted.counts("predictor"):
            saturated += counts.saturated
            if layer in layers:
                messages[layers.index(layer)] += counts.messages
        return cls(trace, messages, saturated)


def differences(found: GuidedRecord, plan: Reference) -> tuple[int, int]:
    """(values compared, values different): costs, winner, every copy's actions and latents after every step, messages of every
    layer, and how much was clipped in all."""
    trace = plan.trace
    checks = [
        (found.cost_S, trace.cost_BS[0].numpy()),
        (np.array([found.winner]), trace.winner_B.numpy()),
        (found.actions_HSA, trace.actions_BSHA[0].transpose(0, 1).numpy()),
        (found.path_HSD, trace.latents_BSHD[0].transpose(0, 1).numpy()),
        (_messages(found), plan.messages_L),
        (np.array([found.saturated]), np.array([plan.saturated])),
    ]
    return sum(ours.size for ours, _ in checks), sum(int((ours != theirs).sum()) for ours, theirs in checks)


def _messages(found: GuidedRecord) -> NDArray[np.int64]:
    """Of every layer, in the order of `layers`."""
    return np.concatenate([found.policy_messages_L, found.predictor_messages_L, found.value_messages_L])


def guided_episodes(
    *,
    bundle: Bundle,
    planner: GuidedConfig,
    reference: str = "zero",
    threshold: float = 1.0,
    episodes: int,
    seed: int = 0,
    folder: Path,
    layout: str = "fused",
    cost: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> LavaLoopRow:
    """Plan and act for the first reported episodes of the bundle's task, in Lava. `cost`: a name in COSTS.

    >>> guided_episodes(bundle=load_bundle("two-room"), planner=GuidedConfig(), episodes=2, folder=Path("runs/lava")).success
    """
    world = make_world(bundle.task)
    latent_of = ImageLatent(world, bundle.model.encoder)
    pair = METHODS[METHOD].predictor(Site(bundle, threshold))
    assert isinstance(pair, Pair)
    drawn = world.sample(episodes, np.random.default_rng(EPISODE_SEED))
    with GuidedLavaPlanner(
        pair,
        planner,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        places=places_of(bundle.task),
        workdir=folder,
        cost=task_cost(world, latent_of, planner, cost),
        reference=reference,
        layout=layout,
    ) as in_lava:
        outcome = run_episodes(world, latent_of, in_lava, drawn, seed=seed, block=1, progress=progress)
    return loop_row(
        in_lava,
        outcome,
        task=bundle.task,
        reference=reference,
        threshold=threshold,
        layers=in_lava.layers,
        evaluations=planner.evaluations,
        drift_from_floating=[],  # copies take other actions as soon as a latent differs: there is no one path to drift from
        drift_from_dense=[],
    )
