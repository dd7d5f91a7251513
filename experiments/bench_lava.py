"""`spikeplan bench lava`: the loop in Lava against the integer reference, the readable chain and Lava's own neurons."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from experiments.bench_netx import netx_rows
from experiments.bundle import load_bundle
from experiments.jobs import EPISODE_SEED, one_thread, scale_thresholds
from experiments.lava_loop import LavaPlanner, differences
from experiments.plan_of import chosen_of
from experiments.pool import progress_bar
from lava_procs import LavaError, Passes, replay
from lava_procs.child import group_members
from lava_procs.control import KEEP, RESET
from lava_procs.lif_bench import stock_difference
from spec.noise import candidate_noise
from worldmodel.closed_loop import ImageLatent, run_episodes
from worldmodel.tasks import make_world

TASK = "two-room"
EPISODES, PLANS, KILLS = 20, 8, 20
TIMEOUT_S = 120.0

Row = dict[str, Any]


def row(name: str, ours: float, other: float | None, unit: str, goal: str | None, holds: bool | None) -> Row:
    ratio = ours / other if other else None
    return {"name": name, "ours": ours, "other": other, "ratio": ratio, "unit": unit, "goal": goal, "holds": holds}


def make_planner(folder: Path, layout: str = "fused") -> LavaPlanner:
    bundle, world = load_bundle(TASK), make_world(TASK)
    axis, factor = chosen_of(TASK)
    return LavaPlanner(
        scale_thresholds(bundle.artifact, factor), bundle.model.planner, action_dim=world.action_dim,
        action_limit=world.action_limit, axis=axis, workdir=folder, timeout_s=TIMEOUT_S,
        layout=layout,
    )  # fmt: skip


def whole_plans(planner: LavaPlanner, stepwise: LavaPlanner) -> list[Row]:
    """Plans of the full size from real latents: equality of both layouts with the reference, and the time of a plan."""
    bundle, world = load_bundle(TASK), make_world(TASK)
    episodes = world.sample(PLANS, np.random.default_rng(EPISODE_SEED))
    latent_of = ImageLatent(world, bundle.model.encoder)
    z, goal = latent_of(episodes.start_NP, episodes.layout_NL), latent_of(episodes.goal_NP, episodes.layout_NL)
    r, reference = planner.reference.params, planner.reference
    compared = different = 0
    fused_s: list[float] = []
    stepwise_s: list[float] = []
    torch_s: list[float] = []
    for number in range(PLANS):
        plans = []
        for one, seconds in ((planner, fused_s), (stepwise, stepwise_s)):
            _, _, found = one.plan(z[number : number + 1], goal[number : number + 1], torch.tensor([number + 1]))
            plans.append(found)
            seconds.append(found.seconds)
        noise = torch.from_numpy(candidate_noise(np.array([number + 1]), r.samples, r.variables, 2)).long()
        start, end = (planner.predictor.encode(v[number : number + 1]) for v in (z, goal))
        _, trace = reference.plan_integers(start, end, noise, None, record=True)
        began = time.perf_counter()
        reference.plan_integers(start, end, noise, None)
        torch_s.append(time.perf_counter() - began)
        for found in plans:
            seen, wrong = differences(found, trace)
            compared, different = compared + seen, different + wrong
    ours, slow, theirs = min(fused_s[1:]), min(stepwise_s[1:]), min(torch_s)
    return [
        row("plan_values_different", different, None, f"of {compared:,} values", "0", different == 0),
        row("plan_seconds", ours, None, "s", "<= 1", ours <= 1.0),
        row("fused_vs_reference", ours, theirs, "s a plan", "<= 5", ours <= 5 * theirs),
        row("stepwise_vs_fused", slow, ours, "s a plan", None, None),
    ]


def closed_loop(planner: LavaPlanner) -> Row:
    """Episodes through Lava and through the reference, one at a time so that both see the same encoder batch."""
    bundle, world = load_bundle(TASK), make_world(TASK)
    episodes = world.sample(EPISODES, np.random.default_rng(EPISODE_SEED))
    latent_of = ImageLatent(world, bundle.model.encoder)
    through = [
        run_episodes(world, latent_of, one, episodes, seed=0, block=1).actions_NTA
        for one in (planner, planner.reference)
    ]
    different = int((through[0] != through[1]).any(-1).sum())
    return row(
        "episode_actions_different", different, None, f"of {through[0][..., 0].size} actions", "0", different == 0
    )


def fused_against_chain(planner: LavaPlanner, folder: Path) -> Row:
    """One iteration's rollouts of a recorded plan: the loop's quarter of a plan against the chain, one pass a step."""
    bundle, world = load_bundle(TASK), make_world(TASK)
    episodes = world.sample(1, np.random.default_rng(EPISODE_SEED))
    latent_of = ImageLatent(world, bundle.model.encoder)
    z, goal = latent_of(episodes.start_NP, episodes.layout_NL), latent_of(episodes.goal_NP, episodes.layout_NL)
    found = min((planner.plan(z, goal, torch.tensor([1]))[2] for _ in range(5)), key=lambda f: f.seconds)
    r = planner.reference.params
    noise = torch.from_numpy(candidate_noise(np.array([1]), r.samples, r.variables, 2)).long()
    encoded = [planner.predictor.encode(v) for v in (z, goal)]
    _, trace = planner.reference.plan_integers(encoded[0], encoded[1], noise, None)
    actions = (trace.candidates_IBSVA[0, 0] << r.action_shift).repeat_interleave(r.chunk, 1)[:, : r.horizon].numpy()
    before = np.concatenate([np.tile(encoded[0].numpy()[:, None], (1, r.samples, 1)), found.path_IHSD[0, :-1]])
    x = np.concatenate([before.transpose(1, 0, 2), actions], 2).astype(np.int64).reshape(-1, before.shape[2] + 2)
    load = np.full(len(x), RESET)
    if planner.axis == "rollout":
        load = np.where(np.arange(len(x)) % r.horizon == 0, RESET, KEEP)
    passes = Passes(x=x, load=load, save=np.full(len(x), KEEP))
    marks: list[tuple[float, int]] = []
    chain = replay(folder / "network.safetensors", passes, timeout_s=TIMEOUT_S, workdir=folder / "chain",
                   on_progress=lambda done, all_: marks.append((time.monotonic(), done)))  # fmt: skip
    change = found.path_IHSD[0] - before
    if not (chain.value.reshape(r.samples, r.horizon, -1) == change.transpose(1, 0, 2)).all():
        return row("fused_vs_chain", float("nan"), None, "s", ">= 50", holds=False)
    (first, done), (last, all_) = marks[1], marks[-2]
    chain_s = (last - first) / (all_ - done) * len(x)  # compile apart
    fused_s = found.seconds / r.iterations
    return row("fused_vs_chain", chain_s, fused_s, f"s for {len(x)} passes", ">= 50", chain_s >= 50 * fused_s)


def kill_drill(folder: Path, tick: Any) -> Row:
    """kill -9 of a random process of the group at a random moment of planning."""
    rng, failures = random.Random(0), 0
    for number in range(KILLS):
        planner = make_planner(folder / f"kill-{number}")
        assert planner.session.segments, "a session that holds no shared memory proves nothing about leaks"
        group = planner.session.worker.pid
        began = time.monotonic()
        victim_at = rng.uniform(0.0, 0.4)
        z = torch.zeros(1, planner.predictor.latent_dim)
        killed = False
        try:
            while time.monotonic() - began < TIMEOUT_S:
                if not killed and time.monotonic() - began > victim_at:
                    os.kill(rng.choice(group_members(group)), signal.SIGKILL)
                    killed = True
                planner.plan(z, z, torch.tensor([number + 1]))
        except LavaError:
            pass
        late = time.monotonic() - began > TIMEOUT_S
        left = bool(group_members(group)) or any(Path(path).exists() for path in planner.session.segments)
        failures += int(late or left or not planner.session.closed)
        tick()
    return row("kill_drill_failures", failures, None, f"of {KILLS} kills", "0", failures == 0)


def bench_lava(console: Console) -> list[Row]:
    one_thread()
    rows: list[Row] = []
    with progress_bar(console) as bar, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = bar.add_task("bench lava", total=4 + KILLS)
        with make_planner(folder / "loop") as planner:
            with make_planner(folder / "stepwise", "stepwise") as stepwise:
                rows += whole_plans(planner, stepwise)
            bar.advance(task)
            rows.append(closed_loop(planner))
            bar.advance(task)
            rows.append(fused_against_chain(planner, folder / "loop"))
            bar.advance(task)
        different = stock_difference(folder / "lif")
        rows.append(row("stock_lif_spikes_different", different, None, "spikes of 1,000 steps", "0", different == 0))
        bar.advance(task)
        rows.append(kill_drill(folder, lambda: bar.advance(task)))
        rows += netx_rows(folder / "netx")
    return rows
