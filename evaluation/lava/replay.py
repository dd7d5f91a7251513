"""The `lava` method: rollouts recorded from real planning, replayed by the Lava chain and compared with the reference.

A recorded plan becomes a list of passes (input integers, which stored context to load, which to save), in the order in
which one network instance would run them on the given reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.contexts import KEEP, RESET
from spikeplan.evaluation.recorded_plans import Plans
from spikeplan.evaluation.rows import LavaReplayRow
from spikeplan.lava_procs import Passes, Trace, compare, replay
from spikeplan.snn.delta import DeltaNetwork, DeltaState
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning.rollout import unroll

NONE = -1


def zero_state(network: DeltaNetwork) -> list[DeltaState]:
    """One row of zeros for every layer."""
    state = []
    for layer in network.layers:
        zero = torch.zeros(1, layer.n_out, dtype=network.dtype)
        state.append(DeltaState(None if layer.kind == "delta" else zero, None if layer.kind == "sigma" else zero))
    return state


class Program:
    """Runs passes one by one on the reference and writes down what the chain must repeat."""

    def __init__(self, artifact: Artifact) -> None:
        self.network = DeltaNetwork(artifact)
        self.rows: list[tuple[np.ndarray, int, int]] = []
        self.slots: dict[int, list[DeltaState]] = {}
        self.state = zero_state(self.network)
        names = [layer.name for layer in self.network.layers]
        self.messages: dict[str, list[np.ndarray]] = {name: [] for name in names[:-1]}
        self.sigma: dict[str, list[np.ndarray]] = {name: [] for name in names[1:]}
        self.ref: dict[str, list[np.ndarray]] = {name: [] for name in names[:-1]}
        self.value: list[np.ndarray] = []
        self.saturated = dict.fromkeys(names, 0)

    def run(self, x: Tensor, *, load: int = KEEP, save: int = NONE) -> Tensor:
        """One pass; x (n_in,), returns the output value (D,)."""
        if load == RESET:
            self.state = zero_state(self.network)
        elif load >= 0:
            self.state = self.slots.get(load) or zero_state(self.network)
        done, self.state = self.network.run(x[None], self.state)
        if save >= 0:
            self.slots[save] = self.state
        self.rows.append((x.numpy().astype(np.int64), load, save))
        for i, layer in enumerate(self.network.layers):
            sigma, ref = self.state[i]
            if layer.kind != "sigma":
                self.messages[layer.name].append(done.messages[i][0].numpy().astype(np.int64))
                self.ref[layer.name].append(ref[0].numpy().astype(np.int64))  # type: ignore[index]
            if sigma is not None:
                self.sigma[layer.name].append(sigma[0].numpy().astype(np.int64))
            self.saturated[layer.name] += done.sigma_saturated[i]
        self.value.append(done.value_RD[0].numpy().astype(np.int64))
        return done.value_RD[0]

    def finish(self) -> tuple[Passes, Trace]:
        x, load, save = zip(*self.rows, strict=True)
        passes = Passes(x=np.stack(x), load=np.array(load, np.int64), save=np.array(save, np.int64))
        stack = {name: np.stack(rows) for name, rows in self.messages.items()}
        return passes, Trace(
            messages=stack,
            sigma={k: np.stack(v) for k, v in self.sigma.items()},
            ref={k: np.stack(v) for k, v in self.ref.items()},
            value=np.stack(self.value),
            saturated=self.saturated,
        )


class MeanState(NamedTuple):
    """Where a rollout is: its step, and the mean candidate's latent."""

    t: int
    z_D: Tensor


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """The candidates of one CEM iteration as passes of one network instance, in `order`: a step for `unroll`, B = 1."""

    program: Program
    reference: str
    first: bool  # of the plan's iterations: it has none before it to look back at
    mean_HA: Tensor
    order: list[int]

    def step(self, z_BSD: Tensor, action_BSA: Tensor, state: MeanState) -> tuple[Tensor, MeanState, list[LayerCounts]]:
        t, z_mean = state
        if self.reference == "mean_candidate" or (self.reference == "previous_iteration" and self.first):
            # slot 0 holds the mean candidate's state at this step
            z_mean = self._predict(z_mean, self.mean_HA[t], RESET if t == 0 else 0, 0)
        after = z_BSD.clone()
        for position, s in enumerate(self.order):
            after[0, s] = self._predict(z_BSD[0, s], action_BSA[0, s], *self._contexts(position, s, t))
        return after, MeanState(t + 1, z_mean), []

    def _contexts(self, position: int, s: int, t: int) -> tuple[int, int]:
        """Which stored context candidate s loads at step t, and which it saves."""
        own = 1 + s * len(self.mean_HA) + t
        return {
            "zero": (RESET, NONE),
            "previous_step": (RESET if t == 0 else 1 + s, 1 + s),
            "previous_candidate": (RESET if position == 0 else KEEP, NONE),
            "mean_candidate": (0, NONE),
            "previous_iteration": (0 if self.first else own, own),
        }[self.reference]

    def _predict(self, z_D: Tensor, action_A: Tensor, load: int, save: int) -> Tensor:
        top = float(limit(STATE_BITS))
        return (z_D + self.program.run(torch.cat([z_D, action_A]), load=load, save=save)).clamp(-top, top)


def program_of(
    artifact: Artifact, plans: Plans, *, reference: str, plan: int = 0, iterations: int = 2
) -> tuple[Passes, Trace]:
    """The first CEM iterations of one recorded plan on one reference, closed over the network's own latents."""
    predictor = DeltaPredictor(artifact)
    program = Program(artifact)
    start = predictor.encode(plans.latent_ND[plan])
    _, recorded, samples, _, _ = plans.candidates_NISHA.shape
    for i in range(min(iterations, recorded)):
        candidates = plans.candidates_NISHA[plan, i]
        by_action = candidates[:, 0, 0].argsort().tolist()
        recorder = Recorder(
            program=program,
            reference=reference,
            first=i == 0,
            mean_HA=predictor.encode_action(candidates.mean(0)),
            order=by_action if reference == "previous_candidate" else list(range(samples)),
        )
        actions = predictor.encode_action(candidates)
        unroll(recorder.step, start.expand(1, samples, -1), actions[None], MeanState(0, start))
    return program.finish()


def run_lava_method(
    artifact: Artifact,
    plans: Plans,
    *,
    task: str,
    threshold: float,
    reference: str,
    workdir: Path,
    timeout_s: float = 300.0,
    iterations: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> LavaReplayRow:
    """Replay in Lava and compare every message, state and value with `==`. `threshold`: the factor that `artifact` has."""
    began = time.monotonic()
    workdir.mkdir(parents=True, exist_ok=True)
    path = artifact_file.save(artifact, workdir / "network.safetensors")
    passes, golden = program_of(artifact, plans, reference=reference, iterations=iterations)
    trace = replay(path, passes, timeout_s=timeout_s, workdir=workdir, on_progress=on_progress)
    found = compare(golden, trace)
    return LavaReplayRow(
        task=task,
        reference=reference,
        threshold=threshold,
        seconds=time.monotonic() - began,
        passes=len(passes),
        values_compared=found.values_compared,
        values_different=found.values_different,
        nonzero_share=found.nonzero_share,
        positive_crossed=found.positive_crossed,
        negative_crossed=found.negative_crossed,
        first_difference=found.first_difference,
        saturated=golden.saturated,
        raster={name: (m[: 1 + 12 * 4] != 0).astype(int).tolist() for name, m in golden.messages.items()},
    )
