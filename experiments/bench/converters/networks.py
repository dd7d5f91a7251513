"""Two networks that are trained on small real tasks, so that converters have something to convert.

    mlp    34-128-128-32: the change of TwoRoom's latent, as the shipped predictor answers on its own rollouts
    conv   3x3 convolutions of 6, 6 and 1 channels: an 8x8 image of blobs, moved by the action (bilinear, part of a pixel)

Others convert `chain`, which takes one tensor; `convert` takes the module, which lays out latent and action for the chain.
Shapes: N rows, D latent, A action; images (N, 1, 8, 8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample

from spikeplan.core.descent import descend
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.worldmodel.planning.closed_loop import ImageLatent
from spikeplan.worldmodel.tasks import make_world

TASK = "two-room"
EPISODES, ROLLOUT, ACTION = 600, 6, 0.08
SIDE, BLOBS, SHIFT = 8, 3, 1.0  # pixels; the largest move in one direction
CALIBRATION_ROWS, HELD_OUT_ROWS, BATCH = 2048, 512, 256
RATE = 3e-3
STEPS = {"mlp": 4000, "conv": 2000}


class Rows(NamedTuple):
    latent_ND: Tensor
    action_NA: Tensor
    wanted_ND: Tensor


class Flat(nn.Module):
    """z + chain([z, a])"""

    residual = True

    def __init__(self, latent: int, action: int, width: int = 128) -> None:
        super().__init__()
        layers = [nn.Linear(latent + action, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        self.chain = nn.Sequential(*layers, nn.Linear(width, latent))

    def laid_out(self, z: Tensor, a: Tensor) -> Tensor:
        return torch.cat([z, a], -1)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        after: Tensor = z + self.chain(self.laid_out(z, a))
        return after


class Image(nn.Module):
    """chain(image, and a plane for each number of the action)"""

    residual = False

    def __init__(self, channels: int = 6) -> None:
        super().__init__()
        layers = [
            nn.Conv2d(3, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
        ]
        self.chain = nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, padding=1), nn.Flatten())

    def laid_out(self, z: Tensor, a: Tensor) -> Tensor:
        planes = a[:, :, None, None].expand(-1, -1, SIDE, SIDE)
        return torch.cat([z.reshape(-1, 1, SIDE, SIDE), planes], 1)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        after: Tensor = self.chain(self.laid_out(z, a))
        return after


@dataclass(frozen=True)
class Case:
    """A trained module, rows to calibrate with, and rows that neither training nor calibration has seen. `error`: of the
    training, over the variance of what is predicted."""

    name: str
    module: Flat | Image
    calibration: Rows
    held_out: Rows
    error: float

    @torch.no_grad()
    def output(self, rows: Rows) -> Tensor:
        """What the chain puts out: without the latent that is added to it."""
        found: Tensor = self.module.chain(self.module.laid_out(rows.latent_ND, rows.action_NA))
        return found


def two_room_rows(generator: torch.Generator) -> Rows:
    """Rollouts of the shipped predictor with random actions."""
    world, model = make_world(TASK), load_bundle(TASK).model
    episodes = world.sample(EPISODES, np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator))))
    z = ImageLatent(world, model.encoder)(episodes.start_NP, episodes.layout_NL).float()
    found = []
    with torch.no_grad():
        for _ in range(ROLLOUT):
            a = (2 * torch.rand(len(z), 2, generator=generator) - 1) * ACTION
            after = model.predictor(z, a)
            found.append((z, a, after))
            z = after
    return Rows(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def image_rows(generator: torch.Generator, rows: int = 6 * EPISODES) -> Rows:
    """Blobs of light at random places, and the same image moved."""
    at = torch.arange(SIDE, dtype=torch.float32)
    middle = torch.rand(rows, BLOBS, 2, generator=generator) * (SIDE - 1)
    width = 0.7 + torch.rand(rows, BLOBS, 1, generator=generator)
    y, x = (torch.exp(-((at - middle[..., i : i + 1]) ** 2) / (2 * width**2)) for i in (0, 1))
    image = torch.einsum("nby,nbx->nyx", y, x).clamp(max=1.0)[:, None]
    a = (2 * torch.rand(rows, 2, generator=generator) - 1) * SHIFT
    moves = torch.eye(2, 3).repeat(rows, 1, 1)
    moves[:, :, 2] = -2 * a / SIDE
    moved = grid_sample(image, affine_grid(moves, list(image.shape), align_corners=False), align_corners=False)
    return Rows(image.flatten(1), a, moved.flatten(1))


def trained(name: str, module: Flat | Image, rows: Rows, *, steps: int, generator: torch.Generator) -> Case:
    """Fitted on all rows but the held-out ones, which are drawn; calibration takes some of those it was trained on."""
    order = torch.randperm(len(rows.latent_ND), generator=generator)
    held_out, seen = (Rows(*(part[pick] for part in rows)) for pick in (order[:HELD_OUT_ROWS], order[HELD_OUT_ROWS:]))
    size = (rows.wanted_ND - rows.latent_ND if module.residual else rows.wanted_ND).var(0).mean()
    optimizer = torch.optim.AdamW(module.parameters(), RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)

    def losses(step: int) -> dict[str, Tensor]:
        pick = torch.randint(len(seen.latent_ND), (BATCH,), generator=generator)
        found = module(seen.latent_ND[pick], seen.action_NA[pick])
        return {"total": (found - seen.wanted_ND[pick]).square().mean() / size}

    descend(range(1, steps + 1), losses, optimizer=optimizer, schedule=schedule, clip=None)
    with torch.no_grad():
        wrong = (module(held_out.latent_ND, held_out.action_NA) - held_out.wanted_ND).square().mean()
    calibration = Rows(*(part[:CALIBRATION_ROWS] for part in seen))
    return Case(name, module.eval(), calibration, held_out, float(wrong / size))


def _mlp(seed: int, steps: int) -> Case:
    generator = torch.Generator().manual_seed(seed)
    rows = two_room_rows(generator)
    module = Flat(rows.latent_ND.shape[1], rows.action_NA.shape[1])
    return trained("mlp", module, rows, steps=steps, generator=generator)


def _conv(seed: int, steps: int) -> Case:
    generator = torch.Generator().manual_seed(seed)
    return trained("conv", Image(), image_rows(generator), steps=steps, generator=generator)


CASES: dict[str, Callable[[int, int], Case]] = {"mlp": _mlp, "conv": _conv}


def case(name: str, *, seed: int = 0, steps: int | None = None) -> Case:
    """A network by name, trained anew: the same weights for the same seed and steps. None: as many as it needs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CASES[name](seed, STEPS[name] if steps is None else steps)
