"""An action-conditioned transformer of tokens: V-JEPA 2-AC's predictor in small.

    token[0] = A action;   token[1 + i] = E slice_i(z)                    T + 1 tokens, each `width` wide
    x <- x + proj(softmax(rope(q) rope(k)' / sqrt(C)) v);  x <- x + fc2(gelu(fc1(x)))          once a block, before each a norm
    z'   = z + P norm(x[1 + i]), slice by slice

Blocks, rotary positions and mask are those of `worldmodel/vjepa2_ac.py`. A prediction sees one frame, and in one frame the
block-causal mask hides nothing: the planner's contract hands on a latent and no history. Slices stand in one row, so that a
head's channels turn with the column. There is no state token: these tasks have no proprioception.
Shapes: ... rows, D latent, A action, T slices, S numbers a slice, W width.
Source: Assran et al. 2025 (arXiv 2506.09985), section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeplan.worldmodel.predictors.base import PredictorKind
from spikeplan.worldmodel.predictors.tokens import SLICE, check_widths, sliced, tokens_of
from spikeplan.worldmodel.vjepa2_ac import Block, VJEPA2ACConfig, block_causal

CHANNELS = 16  # of a head


class TransformerPredictor(nn.Module):
    """`hidden`: the width of each block, all the same.

    >>> TransformerPredictor(32, 2, (48, 48))(latent_ND, action_NA).shape
    torch.Size([N, 32])
    """

    place_N3: Tensor
    sees_NN: Tensor

    def __init__(self, latent_dim: int, action_dim: int, hidden: tuple[int, ...] = (48, 48)) -> None:
        super().__init__()
        check_widths("transformer", tuple(hidden), CHANNELS)
        self.latent_dim, self.action_dim, self.hidden = latent_dim, action_dim, tuple(hidden)
        width, tokens = hidden[0], tokens_of(latent_dim)
        config = VJEPA2ACConfig(width=width, depth=len(hidden), heads=width // CHANNELS, action_dim=max(action_dim, 2))
        self.embed, self.action_embed = nn.Linear(SLICE, width), nn.Linear(action_dim, width)
        self.blocks = nn.ModuleList([Block(config) for _ in hidden])
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, SLICE)
        column = torch.cat([torch.zeros(1), torch.arange(tokens).float()])
        place_N3 = torch.stack([torch.zeros_like(column), torch.zeros_like(column), column], -1)
        self.register_buffer("place_N3", place_N3, persistent=False)
        self.register_buffer("sees_NN", block_causal(1, tokens + 1), persistent=False)

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        rows = latent.reshape(-1, latent.shape[-1])
        told = self.action_embed(action.reshape(-1, action.shape[-1]))
        x_NTW = torch.cat([told[:, None], self.embed(sliced(rows))], 1)
        for block in self.blocks:
            x_NTW = block(x_NTW, self.place_N3, self.sees_NN)
        change = self.head(self.norm(x_NTW[:, 1:])).flatten(1)[:, : self.latent_dim]
        after: Tensor = latent + change.view(latent.shape)
        return after


PREDICTOR = PredictorKind(name="transformer", make=TransformerPredictor)
