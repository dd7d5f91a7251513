"""Training of the fused latent and of its twin without events: one recipe, one budget, one network for all conditions.

    L = mean over ticks of |z - encoder(clean view at that tick)|        (the frozen encoder's latent is the target)

The event encoder is trained on pairs of instants first (`fit_change`), then with the rest. Many short films of different
methods matter more than long ones: on 1,000 arms it learned them by heart and was off by twice as much on others.

Each sequence draws its own speed (x1 to x8), light, exposure, frame latency, error of the frames' stamps (time shift),
share of dropped frames (all of them in some: events alone) and, for the fused network, sometimes no events.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spikeplan.core.descent import descend
from spikeplan.fusion.cell import HOLD_S, EventUpdate, FrameUpdate, FusedLatent, FusedState, Update
from spikeplan.fusion.denoise import Denoiser
from spikeplan.fusion.streams import TICK_MS, Condition, Stream, arrivals, draw_paths, encode, film, sensor_noise, views
from spikeplan.snn.event_encoder import EventEncoder
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.tasks.world import World

TICK_S = TICK_MS * 1e-3
FILM_BLOCK = 8  # methods whose pixels stay in the cache: halves the time of 25 at once


@dataclass(frozen=True, kw_only=True)
class FuseTraining:
    seed: int = 0
    films: int = 112  # blocks of sequences; one light and exposure each
    sequences: int = 128
    film_s: float = 0.3
    change_steps: int = 15_000
    change_batch: int = 256
    change_rate: float = 2e-3
    anchor_error: float = (
        0.03  # largest standard deviation of an anchor's latent that the event encoder is trained with
    )
    steps: int = 2500
    batch: int = 96
    ticks: int = 24
    rate: float = 1e-3
    events_withheld: float = 0.1  # share of sequences
    frames_withheld: float = 0.15
    stamp_error_ms: float = 3.0
    maps_poses: int = 20_000
    maps_steps: int = 3000
    denoiser_steps: int = 800


class Fuser(nn.Module):
    """The cell and its event encoder; `events` None: the twin that never saw any."""

    def __init__(self, latent_dim: int, cells: int, *, with_events: bool) -> None:
        super().__init__()
        self.cell = FusedLatent(latent_dim, cells=cells)
        self.events = EventEncoder(latent_dim, cells) if with_events else None


class Reel(NamedTuple):
    """Films of one light and exposure with their latents."""

    light: float
    exposure_ms: int
    electrons: float
    begin_NF: np.ndarray
    frame_NFD: Tensor
    counts_NKHW: Tensor
    truth_NKD: Tensor


LIGHTS = ((1.0, 10), (1.0, 30), (1 / 64, 30), (1 / 16, 30), (1.0, 10), (1 / 4, 10), (1 / 64, 30), (1 / 16, 30))


def shoot(world: World, encoder: Encoder, denoiser: Denoiser, config: FuseTraining, block: int) -> Reel:
    """One block of sequences, each at its own speed."""
    rng = np.random.default_rng([config.seed, 10, block])
    t_s = np.arange(round(config.film_s * 1000) + 1) / 1000
    light, exposure = LIGHTS[block % len(LIGHTS)]
    speeds = 2 ** rng.uniform(0, 3, config.sequences)
    paths = draw_paths(config.sequences, rng)
    pose = np.concatenate([paths.take(slice(i, i + 1)).at(t_s, speed) for i, speed in enumerate(speeds)])
    made = film(world, pose, light, (exposure,), rng, block=FILM_BLOCK)
    electrons = Condition(name="training", light=light, exposure_ms=exposure).electrons
    noisy = sensor_noise(made.exposed[exposure], electrons, rng)
    return Reel(
        light,
        exposure,
        electrons,
        made.begin_NF,
        encode(encoder, noisy, denoiser=denoiser, electrons=electrons),
        torch.from_numpy(made.counts_NKHW),
        encode(encoder, views(world, made.pose_NKP)),
    )


def draw_batch(reels: list[Reel], config: FuseTraining, rng: np.random.Generator) -> tuple[Stream, Tensor, int]:
    """A batch from all reels: (stream, whether a row has events, first tick)."""
    per = max(1, config.batch // len(reels))
    parts: list[Stream] = []
    seen: list[Tensor] = []
    ticks = reels[0].truth_NKD.shape[1]
    frames = min(reel.begin_NF.shape[1] for reel in reels)
    for reel in reels:
        row = rng.choice(len(reel.begin_NF), per, replace=False)
        latency = rng.uniform(2, 60, (per, 1))
        lost = rng.random((per, frames)) < rng.choice([0.0, 0.0, 0.25, 0.5, 0.75], (per, 1))
        lost |= rng.random((per, 1)) < config.frames_withheld
        begin = reel.begin_NF[row, :frames]
        arrive = arrivals(begin, reel.exposure_ms, latency, lost, ticks)
        middle = (begin + reel.exposure_ms / 2 + rng.normal(0, config.stamp_error_ms, (per, 1))) * 1e-3
        parts.append(
            Stream(
                reel.frame_NFD[row, :frames],
                torch.from_numpy(middle).float(),
                torch.from_numpy(arrive),
                torch.full((per,), float(np.log(reel.electrons))),
                reel.counts_NKHW[row].flatten(2).float(),
                reel.truth_NKD[row],
            )
        )
        seen.append(torch.from_numpy(rng.random(per) >= config.events_withheld))
    stream = Stream(*(torch.cat(field) for field in zip(*parts, strict=True)))
    return stream, torch.cat(seen), int(rng.integers(6, ticks - config.ticks))


def tick(
    fuser: Fuser, state: FusedState, stream: Stream, k: int, *, with_events: Tensor | None, encoding: Any = None
) -> FusedState:
    """From tick k - 1 to tick k: the window of events or free time, the frame that has arrived, the reading.
    `with_events`: rows that have events; None for nobody."""
    updates: list[Update] = []
    if with_events is not None:
        updates.append(EventUpdate(stream.event_NKE[:, k], TICK_S, with_events))
    else:
        state = fuser.cell.advance(state, TICK_S)
    hit = stream.arrives_NF == k
    there = hit.any(1)
    if there.any():
        frame = hit.float().argmax(1)
        row = torch.arange(len(frame))
        age = (k * TICK_S - stream.middle_s_NF[row, frame]).clamp_min(0)
        updates.append(FrameUpdate(stream.frame_NFD[row, frame], age, stream.light, there))
    heard = None if with_events is None else encoding or fuser.events
    assert heard is not None or with_events is None, "the twin has no event encoder"
    return fuser.cell.apply(state, updates, heard) if updates else fuser.cell.read(state, heard)


def sequence_loss(
    fuser: Fuser, stream: Stream, seen: Tensor, first: int, config: FuseTraining, rng: np.random.Generator
) -> Tensor:
    """Starts from where the leader was up to 50 ms ago, not quite known."""
    rows = torch.arange(len(seen))
    lag = torch.from_numpy(rng.integers(0, 6, len(seen)))
    start = stream.truth_NKD[rows, first - lag]
    noise = torch.from_numpy(rng.standard_normal(start.shape)).float() * config.anchor_error
    state = fuser.cell.begin(start + noise)
    errors = []
    for k in range(first + 1, first + 1 + config.ticks):
        state = tick(fuser, state, stream, k, with_events=seen if fuser.events is not None else None)
        errors.append((state.latent_BD - stream.truth_NKD[:, k]).abs().mean())
    return torch.stack(errors).mean()


def fit_change(
    events: EventEncoder, reels: list[Reel], config: FuseTraining, report: Callable[[dict[str, Any]], None]
) -> None:
    """Pairs of instants of one film, up to HOLD_S and some apart: from the latent then and the events since to the latent now.
    The latent then is as wrong as an anchor may be."""
    rng = np.random.default_rng([config.seed, 15])
    sums = torch.cat([reel.counts_NKHW.flatten(2).to(torch.int16).cumsum(1).to(torch.int16) for reel in reels])
    truth = torch.cat([reel.truth_NKD for reel in reels])
    apart = min(round(1.2 * HOLD_S / TICK_S), sums.shape[1] - 1)
    optimizer = torch.optim.AdamW(events.parameters(), config.change_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.change_rate, total_steps=config.change_steps, pct_start=0.1
    )

    def losses(step: int) -> dict[str, Tensor]:
        row = torch.from_numpy(rng.integers(0, len(sums), config.change_batch))
        gap = torch.from_numpy(rng.integers(0, apart + 1, config.change_batch))
        then = torch.from_numpy(rng.integers(0, sums.shape[1] - gap.numpy()))
        wrong = torch.from_numpy(
            rng.standard_normal((len(row), truth.shape[-1])) * rng.random((len(row), 1)) ** 2
        ).float()
        anchor = truth[row, then] + config.anchor_error * wrong
        found = anchor + events(anchor, (sums[row, then + gap] - sums[row, then]).float())
        return {"total": (found - truth[row, then + gap]).abs().mean()}

    running = 0.0

    def tell(step: int, row: dict[str, float]) -> None:
        nonlocal running
        running = row["total"] if step == 1 else 0.99 * running + 0.01 * row["total"]
        report({"step": step, "total_steps": config.change_steps, "loss": running})

    steps = range(1, config.change_steps + 1)
    descend(steps, losses, optimizer=optimizer, schedule=schedule, clip=None, progress=tell)


def train_fuser(
    reels: list[Reel], config: FuseTraining, *, with_events: bool, report: Callable[[dict[str, Any]], None]
) -> Fuser:
    torch.manual_seed(config.seed)
    cells = reels[0].counts_NKHW.shape[-1] ** 2
    fuser = Fuser(reels[0].truth_NKD.shape[-1], cells, with_events=with_events)
    if fuser.events is not None:
        fit_change(fuser.events, reels, config, lambda row: report({"stage": "change", **row}))
    trained = [p for name, p in fuser.named_parameters() if not name.startswith("cell.body")]
    optimizer = torch.optim.AdamW(trained, config.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.steps, pct_start=0.1)
    rng = np.random.default_rng([config.seed, 11])
    began, running = time.monotonic(), 0.0

    def losses(step: int) -> dict[str, Tensor]:
        stream, seen, first = draw_batch(reels, config, rng)
        return {"total": sequence_loss(fuser, stream, seen, first, config, rng)}

    def tell(step: int, row: dict[str, float]) -> None:
        nonlocal running
        running = row["total"] if step == 1 else 0.98 * running + 0.02 * row["total"]
        seconds = round(time.monotonic() - began, 1)
        report({"stage": "fused", "step": step, "total_steps": config.steps, "loss": running, "seconds": seconds})

    descend(
        range(1, config.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=lambda: nn.utils.clip_grad_norm_(trained, 1.0),
        progress=tell,
    )
    return fuser.eval()
