"""`spikeplan bench lava`: the loop in Lava against the integer reference, the readable chain and Lava's own neurons."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from spikeplan.core.ir.contexts import KEEP, RESET
from spikeplan.core.noise import candidate_noise
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.lava.planner import LavaPlanner, differences
from spikeplan.evaluation.shard import EPISODE_SEED, one_thread
from spikeplan.experiments.bench.peers.netx import netx_rows
from spikeplan.experiments.bench.rows import BenchRow, quotient
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.lava_procs import LavaError, Passes, replay
from spikeplan.lava_procs.child import group_members
from spikeplan.lava_procs.lif_bench import stock_difference
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.tasks import make_world

TASK = "two-room"
EPISODES, PLANS, KILLS = 20, 8, 20
TIMEOUT_S = 120.0


def row(name: str, ours: float, other: float | None, unit: str, goal: str | None, holds: bool | None) -> BenchRow:
    return BenchRow(name=name, ours=ours, other=other, ratio=quotient(ours, other), unit=unit, goal=goal, holds=holds)


def make_planner(folder: Path, task: str = TASK, *, reference: str | None = None, layout: str = "fused") -> LavaPlanner:
    bundle, world = load_bundle(task), make_world(task)
    return LavaPlanner(
        bundle.artifact,
        bundle.model.planner,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        reference=reference or bundle.artifact.reference,
        workdir=folder,
        timeout_s=TIMEOUT_S,
        layout=layout,
    )


def real_latents(task: str, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the starts and goals of n reported episodes."""
    world = make_world(task)
    episodes = world.sample(n, np.random.default_rng(EPISODE_SEED))
    latent_of = ImageLatent(world, load_bundle(task).model.encoder)
    return latent_of(episodes.start_NP, episodes.layout_NL), latent_of(episodes.goal_NP, episodes.layout_NL)


def compare_plans(planner: LavaPlanner, task: str) -> tuple[int, int, list[float]]:
    """Values compared and different over some plans from real latents; seconds of each."""
    z, goal = real_latents(task, PLANS)
    compared = different = 0
    seconds = []
    for n in range(PLANS):
        _, _, found = planner.plan(z[n : n + 1], goal[n : n + 1], torch.tensor([n + 1]))
        seen, wrong = differences(found, planner.reference_plan(z[n : n + 1], goal[n : n + 1], n + 1)[1])
        compared, different = compared + seen, different + wrong
        seconds.append(found.seconds)
    return compared, different, seconds


def whole_plans(planner: LavaPlanner, folder: Path) -> list[BenchRow]:
    """Plans of the full size: equality on both tasks, both references that the loop runs and both layouts; the time of a plan."""
    compared, different, fused_s = compare_plans(planner, TASK)
    slow_s: list[float] = []
    for number, (task, reference, layout) in enumerate(
        ((TASK, None, "stepwise"), (TASK, "previous_step", "fused"), ("planar-reach", None, "fused"))
    ):
        with make_planner(folder / str(number), task, reference=reference, layout=layout) as other:
            seen, wrong, seconds = compare_plans(other, task)
        compared, different = compared + seen, different + wrong
        slow_s = slow_s or seconds
    r, golden = planner.golden.params, planner.golden
    z, goal = (planner.predictor.encode(v[:1]) for v in real_latents(TASK, 1))
    noise = torch.from_numpy(candidate_noise(np.array([1]), r.samples, r.variables, r.action_dim)).long()
    torch_s = []
    for _ in range(PLANS):
        began = time.perf_counter()
        golden.plan_integers(z, goal, noise, None)
        torch_s.append(time.perf_counter() - began)
    ours, slow, theirs = min(fused_s[1:]), min(slow_s[1:]), min(torch_s)
    return [
        row(
            "plan_values_different",
            different,
            None,
            f"of {compared:,} values (2 tasks, 2 references, 2 layouts)",
            "0",
            different == 0,
        ),
        row("plan_seconds", ours, None, "s", "<= 1", ours <= 1.0),
        row("fused_vs_reference", ours, theirs, "s a plan", "<= 5", ours <= 5 * theirs),
        row("stepwise_vs_fused", slow, ours, "s a plan", None, None),
    ]


def closed_loop(planner: LavaPlanner) -> BenchRow:
    """Episodes through Lava and through the reference, one at a time so that both see the same encoder batch."""
    bundle, world = load_bundle(TASK), make_world(TASK)
    episodes = world.sample(EPISODES, np.random.default_rng(EPISODE_SEED))
    latent_of = ImageLatent(world, bundle.model.encoder)
    through = [
        run_episodes(world, latent_of, one, episodes, seed=0, block=1).actions_NTA for one in (planner, planner.golden)
    ]
    different = int((through[0] != through[1]).any(-1).sum())
    return row(
        "episode_actions_different", different, None, f"of {through[0][..., 0].size} actions", "0", different == 0
    )


def fused_against_chain(planner: LavaPlanner, folder: Path) -> BenchRow:
    """One iteration's rollouts of a recorded plan: the loop's quarter of a plan against the chain, one pass a step. Each
    side keeps its own records (path and costs here, messages and states there); the chain's Dense is Lava's own, weights as
    Lava lays them out, of which a step of 250 neurons spends a hundredth."""
    z, goal = real_latents(TASK, 1)
    found = min((planner.plan(z, goal, torch.tensor([1]))[2] for _ in range(5)), key=lambda f: f.seconds)
    r = planner.golden.params
    trace = planner.reference_plan(z, goal, 1)[1].trace
    start = planner.predictor.encode(z).numpy()
    actions = (trace.candidates_IBSVA[0, 0] << r.action_shift).repeat_interleave(r.chunk, 1)[:, : r.horizon].numpy()
    before = np.concatenate([np.tile(start[:, None], (1, r.samples, 1)), found.path_IHSD[0, :-1]])
    x = np.concatenate([before.transpose(1, 0, 2), actions], 2).astype(np.int64).reshape(len(actions) * r.horizon, -1)
    load = np.full(len(x), RESET)
    if planner.reference == "previous_step":
        load = np.where(np.arange(len(x)) % r.horizon == 0, RESET, KEEP)
    passes = Passes(x=x, load=load, save=np.full(len(x), KEEP))
    marks: list[tuple[float, int]] = []
    chain = replay(
        folder / "network.safetensors",
        passes,
        timeout_s=TIMEOUT_S,
        workdir=folder / "chain",
        on_progress=lambda done, all_: marks.append((time.monotonic(), done)),
    )
    change = found.path_IHSD[0] - before
    if not (chain.value.reshape(r.samples, r.horizon, -1) == change.transpose(1, 0, 2)).all():
        return row("fused_vs_chain", 0.0, None, "the values differ", ">= 50", holds=False)
    (first, done), (last, all_) = marks[1], marks[-2]
    chain_s = (last - first) / (all_ - done) * len(x)  # compile apart
    fused_s = found.seconds / r.iterations
    return row("fused_vs_chain", chain_s, fused_s, f"s for {len(x)} passes", ">= 50", chain_s >= 50 * fused_s)


def kill_drill(folder: Path, tick: Any) -> BenchRow:
    """kill -9 of a random process of the group at a random moment, from another thread, while plans go on without a pause."""
    rng, failures = random.Random(0), 0
    for number in range(KILLS):
        with make_planner(folder / f"kill-{number}") as planner:
            group, scratch = planner.session.worker.pid, planner.session.worker.scratch
            held = set(planner.session.segments)
            z = torch.zeros(1, planner.predictor.latent_dim)
            victim = rng.choice(group_members(group))
            killer = threading.Timer(rng.uniform(0.0, 0.4), os.kill, (victim, signal.SIGKILL))
            killer.start()
            began, noticed = time.monotonic(), False
            try:
                while time.monotonic() - began < TIMEOUT_S:
                    planner.plan(z, z, torch.tensor([number + 1]))
            except LavaError:
                noticed = True
            killer.join()
            left = bool(group_members(group)) or any(Path(path).exists() for path in held) or scratch.exists()
            failures += int(not noticed or left or not held)
        tick()
    return row("kill_drill_failures", failures, None, f"of {KILLS} kills", "0", failures == 0)


def bench_lava(console: Console) -> list[BenchRow]:
    one_thread()
    rows: list[BenchRow] = []
    with progress_bar(console) as bar, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = bar.add_task("bench lava", total=4 + KILLS)
        with make_planner(folder / "loop") as planner:
            rows += whole_plans(planner, folder / "others")
            bar.advance(task)
            rows.append(closed_loop(planner))
            bar.advance(task)
            rows.append(fused_against_chain(planner, folder / "loop"))
            bar.advance(task)
        different, rates = stock_difference(folder / "lif")
        fires = f"spikes of 1,000 steps; {', '.join(f'{rate:.2f}' for rate in rates)} fire"
        busy = min(rates) > 0.02 and max(rates) < 0.98
        rows.append(row("stock_lif_spikes_different", different, None, fires, "0", different == 0 and busy))
        bar.advance(task)
        rows.append(kill_drill(folder, lambda: bar.advance(task)))
        rows += netx_rows(folder / "netx")
    return rows
