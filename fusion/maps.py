"""Small networks around the frozen encoder, for every method alike: latent -> joints (to measure with), joints -> latent (the
body's own), and the denoiser of frames.

The decoder gives cos and sin of the joints; it reads errors off a latent and serves the baseline that extrapolates a pose.
Shapes: N poses, D latent, P joints.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikeplan.core.descent import descend
from spikeplan.fusion.denoise import Denoiser
from spikeplan.fusion.streams import FULL_ELECTRONS, encode, sensor_noise, views
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.tasks.world import World


class Decoder(nn.Module):
    """z -> (cos q, sin q), (N, 2 P)."""

    def __init__(self, latent_dim: int, joints: int = 2, width: int = 256) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * joints)
        )

    def forward(self, latent: Tensor) -> Tensor:
        out: Tensor = self.net(latent)
        return out

    @torch.no_grad()
    def pose(self, latent: Tensor) -> NDArray[np.float64]:
        """Joint angles, -pi to pi."""
        cos, sin = self(latent).double().chunk(2, -1)
        return torch.atan2(sin, cos).numpy()


def joints_of(world: World, pose_NP: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(world.proprioception(pose_NP)).float()


def fit_maps(world: World, encoder: Encoder, body: nn.Module, *, poses: int, steps: int, seed: int) -> Decoder:
    """Fits a new decoder, and `body` (joints -> latent) in place."""
    rng = np.random.default_rng([seed, 12])
    pose = rng.uniform(-np.pi, np.pi, (poses, world.pose_dim))
    blocks = np.split(pose, range(512, poses, 512))
    latent = torch.cat([encode(encoder, views(world, part)) for part in blocks])
    joints = joints_of(world, pose)
    torch.manual_seed(seed)
    decoder = Decoder(latent.shape[1], world.pose_dim)
    parameters = [*decoder.parameters(), *body.parameters()]
    optimizer = torch.optim.AdamW(parameters, 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)

    def losses(step: int) -> dict[str, Tensor]:
        row = torch.from_numpy(rng.integers(0, poses, 256))
        jitter = torch.from_numpy(rng.standard_normal((256, latent.shape[1]))).float() * 0.03
        loss = (decoder(latent[row] + jitter) - joints[row]).square().mean()
        return {"total": loss + (body(joints[row]) - latent[row]).abs().mean()}

    descend(range(steps), losses, optimizer=optimizer, schedule=schedule, clip=None)
    return decoder.eval()


def fit_denoiser(world: World, encoder: Encoder, *, steps: int, seed: int, batch: int = 48) -> Denoiser:
    """Noisy, blurred frames of a moving method at all light levels; the target is the clean view at the exposure's middle."""
    rng = np.random.default_rng([seed, 14])
    torch.manual_seed(seed)
    denoiser = Denoiser()
    encoder.requires_grad_(False)
    optimizer = torch.optim.AdamW(denoiser.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)

    def losses(step: int) -> dict[str, Tensor]:
        pose = rng.uniform(-np.pi, np.pi, (batch, world.pose_dim))
        sweep = rng.uniform(-0.06, 0.06, pose.shape)  # x8 turns a joint by up to 0.12 rad in 30 ms
        image = np.mean([views(world, pose + share * sweep) for share in (-1, -0.5, 0, 0.5, 1)], 0)
        electrons = FULL_ELECTRONS * 2 ** rng.uniform(-6, 2, batch)
        noisy = np.stack([sensor_noise(view, e, rng) for view, e in zip(image, electrons, strict=True)])
        with torch.no_grad():
            target = encode(encoder, views(world, pose))
        light = torch.from_numpy(np.log(electrons)).float()
        return {"total": (encoder(denoiser(torch.from_numpy(noisy)[:, None], light)) - target).abs().mean()}

    descend(
        range(steps),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=lambda: nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0),
    )
    return denoiser.eval()
