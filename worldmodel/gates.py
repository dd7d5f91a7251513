"""Gates that a world model must pass before anyone plans with it; low loss is no proof of any of them.

probe_r2         held-out linear probe from latent to (cos, sin of) pose
effective_rank   exp of the entropy of the covariance spectrum (Roy & Vetterli 2007)
std_min          least standard deviation of a latent dimension
rollout_nmse     |z_hat[k] - z[k]|^2 / |z[0] - z[k]|^2 at k = 1, 3, 5, 10
distance_rank    Spearman between latent L1 distance and the world's distance
shuffled_ratio   prediction error with shuffled actions / with the true ones (> 1: actions matter)
"""

from __future__ import annotations

import numpy as np
import torch

from spikeplan.worldmodel.data import draw_clips
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.tasks.world import World


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation; 0 when one side is constant."""
    rank_a, rank_b = (np.argsort(np.argsort(x)).astype(np.float64) for x in (a, b))
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(rank_a, rank_b)[0, 1])


@torch.no_grad()
def measure_gates(
    world: World, encoder: Encoder, predictor: ResidualPredictor, *, rng: np.random.Generator, clips: int = 256
) -> dict[str, float]:
    encoder.eval()
    frames = 11
    data = draw_clips(world, clips, frames, rng)
    z = encoder(data.image_BTCHW.flatten(0, 1)).unflatten(0, (clips, frames))
    flat = z.flatten(0, 1).double().numpy()
    pose = data.pose_BTP.reshape(-1, world.pose_dim)
    target = world.proprioception(pose)
    order = rng.permutation(len(flat))
    train, held = order[: len(order) // 2], order[len(order) // 2 :]
    design = np.concatenate([flat, np.ones((len(flat), 1))], 1)
    weight, *_ = np.linalg.lstsq(design[train], target[train], rcond=None)
    residual = target[held] - design[held] @ weight
    r2 = 1 - residual.var(0).sum() / target[held].var(0).sum()
    spectrum = np.linalg.eigvalsh(np.cov(flat.T)).clip(1e-12)
    share = spectrum / spectrum.sum()
    gates = {
        "probe_r2": float(r2),
        "effective_rank": float(np.exp(-(share * np.log(share)).sum())),
        "std_min": float(flat.std(0).min()),
    }
    hat, shuffled = z[:, 0], z[:, 0]
    mixed = data.action_BTA[torch.from_numpy(rng.permutation(clips))]
    for k in range(1, frames):
        hat = predictor(hat, data.action_BTA[:, k - 1])
        shuffled = predictor(shuffled, mixed[:, k - 1])
        if k in (1, 3, 5, 10):
            moved = (z[:, 0] - z[:, k]).square().mean()
            gates[f"rollout_nmse_{k}"] = float((hat - z[:, k]).square().mean() / moved)
        if k == 3:
            gates["shuffled_ratio"] = float((shuffled - z[:, k]).square().mean() / (hat - z[:, k]).square().mean())
    other = rng.permutation(len(flat))
    gates["distance_rank"] = spearman(np.abs(flat - flat[other]).sum(1), world.distance(pose, pose[other]))
    return gates
