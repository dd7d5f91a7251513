"""A gated linear recurrence over tokens: MatMul-free LM's blocks, here with weights of any value.

    token[i] = E slice_i(z), i < T;   token[T] = A action                   read in this order; x: `width` numbers a token
    f = sigmoid(F u);  c = silu(C u);  h[i] = f h[i-1] + (1 - f) c;  x <- x + O (sigmoid(G u) h)         u = norm(x), MLGRU
    x <- x + D (silu(G' u) (U u))                                                                        u = norm(x), GLU
    z'   = z + P norm(x[T])

No product of two matrices, no softmax: tokens meet in the state h alone, element by element. The action comes last, so the last
token has seen all of them and answers alone. The norm is RMSNorm.
Shapes: ... rows, D latent, A action, T slices, S numbers a slice, W width, 2 W inside the GLU.
Source: Zhu et al. 2024 (arXiv 2406.02528), equations 3 to 8 (MLGRU) and section 3.3.2 (GLU).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeplan.worldmodel.predictors.base import PredictorKind
from spikeplan.worldmodel.predictors.tokens import SLICE, check_widths, sliced

INSIDE = 2  # times the width, of the GLU


class MLGRU(nn.Module):
    """The token mixer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.fcg, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)  # F, C and G read the same input

    def forward(self, x_NTW: Tensor) -> Tensor:
        forget, candidate, gate = self.fcg(self.norm(x_NTW)).chunk(3, -1)
        forget = torch.sigmoid(forget)
        new = (1 - forget) * F.silu(candidate)
        state = new[:, 0]
        states = [state]
        for i in range(1, x_NTW.shape[1]):
            state = forget[:, i] * state + new[:, i]
            states.append(state)
        out: Tensor = x_NTW + self.out(torch.sigmoid(gate) * torch.stack(states, 1))
        return out


class GLU(nn.Module):
    """The channel mixer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.gate_up, self.down = nn.Linear(width, 2 * INSIDE * width), nn.Linear(INSIDE * width, width)

    def forward(self, x_NTW: Tensor) -> Tensor:
        gate, up = self.gate_up(self.norm(x_NTW)).chunk(2, -1)
        out: Tensor = x_NTW + self.down(F.silu(gate) * up)
        return out


class GatedPredictor(nn.Module):
    """`hidden`: the width of each block, all the same.

    >>> GatedPredictor(32, 2, (64, 64))(latent_ND, action_NA).shape
    torch.Size([N, 32])
    """

    def __init__(self, latent_dim: int, action_dim: int, hidden: tuple[int, ...] = (64, 64)) -> None:
        super().__init__()
        check_widths("gated", tuple(hidden), 1)
        self.latent_dim, self.action_dim, self.hidden = latent_dim, action_dim, tuple(hidden)
        width = hidden[0]
        self.embed, self.action_embed = nn.Linear(SLICE, width), nn.Linear(action_dim, width)
        self.mixers = nn.ModuleList([MLGRU(width) for _ in hidden])
        self.channels = nn.ModuleList([GLU(width) for _ in hidden])
        self.norm, self.head = nn.RMSNorm(width, eps=1e-6), nn.Linear(width, latent_dim)

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        rows = latent.reshape(-1, latent.shape[-1])
        told = self.action_embed(action.reshape(-1, action.shape[-1]))
        x_NTW = torch.cat([self.embed(sliced(rows)), told[:, None]], 1)
        for mixer, channels in zip(self.mixers, self.channels, strict=True):
            x_NTW = channels(mixer(x_NTW))
        change: Tensor = self.head(self.norm(x_NTW[:, -1]))
        return latent + change.view(latent.shape)


PREDICTOR = PredictorKind(name="gated", make=GatedPredictor)
