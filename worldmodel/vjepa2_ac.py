"""V-JEPA 2-AC's action-conditioned predictor: the real architecture, without weights.

    token[t] = [action, state, patch 1 .. 256]                      258 tokens a frame, each 1024 wide
    x <- x + proj(softmax(rope(q) rope(k)' / sqrt(64)) v);  x <- x + fc2(gelu(fc1(x)))         24 times
    prediction[t] = predictor_proj(norm(patch tokens of t))         a frame's tokens see all tokens of frames <= t

What it is for: a count of its operations (`spikeplan.worldmodel.mac_counter`) on torch's meta device, where 305 M
parameters take no
memory. Names and shapes of parameters are those of the published checkpoint, so that weights can be loaded later.

The MLP is a plain one with GELU at four times the width (`use_silu` is off in the robot's configuration). Of the 64 channels
of a head 20 turn with the frame, 20 with the row, 20 with the column, 4 with nothing; action and state tokens turn with the
frame alone, as tokens at row and column 0 do. The rotation pairs neighbouring channels but takes their frequencies from the
list [f0 .. f9, f0 .. f9]: a slip of the original that its weights were trained with.

Source: Assran et al. 2025 (arXiv 2506.09985), section 3.1; facebookresearch/vjepa2 at c2963a4 (MIT):
src/models/ac_predictor.py, src/models/utils/modules.py, configs/train/vitg16/droid-256px-8f.yaml. Written anew, and compared
with it once: the same names and shapes, outputs within 6e-7 at 1, 2 and 4 frames, the same count of MACs.
Shapes: B rows, T frames, P patches a frame, N = T (P + 2) tokens, E encoder width, D predictor width, K heads, C channels
of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONDITIONS = 2  # tokens in front of a frame's patches: action, state


@dataclass(frozen=True, kw_only=True)
class VJEPA2ACConfig:
    """The published predictor: a 256-pixel image in 16-pixel patches, encoded by ViT-g (1408 wide)."""

    grid: int = 16
    encoder_width: int = 1408
    width: int = 1024
    depth: int = 24
    heads: int = 16
    mlp_ratio: int = 4
    action_dim: int = 7  # end effector: position, orientation, gripper; the state has the same form

    def __post_init__(self) -> None:
        sizes = (self.grid, self.encoder_width, self.width, self.depth, self.heads, self.mlp_ratio, self.action_dim - 1)
        if min(sizes) < 1 or self.width % self.heads or self.width // self.heads < 6:
            raise ValueError(
                f"V-JEPA 2-AC: {self}: sizes must be >= 1, and heads of >= 6 channels must divide the width"
            )

    @property
    def patches(self) -> int:
        return self.grid**2

    @property
    def tokens(self) -> int:
        return self.patches + CONDITIONS


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_BND: Tensor, place_N3: Tensor, sees_NN: Tensor) -> Tensor:
        b, n, d = x_BND.shape
        q, k, v = self.qkv(x_BND).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(rope(q, place_N3), rope(k, place_N3), v, attn_mask=sees_NN)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(b, n, d))
        return out


class MLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    def __init__(self, config: VJEPA2ACConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(config.width, eps=1e-6), nn.LayerNorm(config.width, eps=1e-6)
        self.attn = Attention(config.width, config.heads)
        self.mlp = MLP(config.width, config.mlp_ratio * config.width)

    def forward(self, x_BND: Tensor, place_N3: Tensor, sees_NN: Tensor) -> Tensor:
        x_BND = x_BND + self.attn(self.norm1(x_BND), place_N3, sees_NN)
        out: Tensor = x_BND + self.mlp(self.norm2(x_BND))
        return out


class VJEPA2ACPredictor(nn.Module):
    """Latents of T frames, the actions taken and states held in them -> latents of the T frames that follow."""

    def __init__(self, config: VJEPA2ACConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or VJEPA2ACConfig()
        self.predictor_embed = nn.Linear(config.encoder_width, config.width)
        self.action_encoder = nn.Linear(config.action_dim, config.width)
        self.state_encoder = nn.Linear(config.action_dim, config.width)
        self.extrinsics_encoder = nn.Linear(config.action_dim - 1, config.width)  # in the checkpoint, never called
        self.predictor_blocks = nn.ModuleList([Block(config) for _ in range(config.depth)])
        self.predictor_norm = nn.LayerNorm(config.width, eps=1e-6)
        self.predictor_proj = nn.Linear(config.width, config.encoder_width)

    def forward(self, latent_BTPE: Tensor, action_BTA: Tensor, state_BTA: Tensor) -> Tensor:
        b, t, p, _ = latent_BTPE.shape
        if p != self.config.patches:
            raise ValueError(f"V-JEPA 2-AC: {p} patches a frame; its grid has {self.config.patches}")
        conditions = [self.action_encoder(action_BTA)[:, :, None], self.state_encoder(state_BTA)[:, :, None]]
        x_BND = torch.cat([*conditions, self.predictor_embed(latent_BTPE)], 2).flatten(1, 2)
        place_N3, sees_NN = places(t, self.config.grid, x_BND.device), block_causal(t, p + CONDITIONS, x_BND.device)
        for block in self.predictor_blocks:
            x_BND = block(x_BND, place_N3, sees_NN)
        patch_BTPD = x_BND.view(b, t, p + CONDITIONS, -1)[:, :, CONDITIONS:]
        out: Tensor = self.predictor_proj(self.predictor_norm(patch_BTPD))
        return out


def places(frames: int, grid: int, device: torch.device | str = "cpu") -> Tensor:
    """(frame, row, column) of each token, (N, 3); actions and states stand at row and column 0."""
    square = torch.cartesian_prod(torch.arange(grid), torch.arange(grid))
    spatial = torch.cat([torch.zeros(CONDITIONS, 2, dtype=square.dtype), square])
    frame = torch.arange(frames).repeat_interleave(len(spatial))
    return torch.cat([frame[:, None], spatial.repeat(frames, 1)], 1).float().to(device)


def block_causal(frames: int, tokens: int, device: torch.device | str = "cpu") -> Tensor:
    """(N, N), True where row may look at column: at its own frame and those before."""
    frame = torch.arange(frames).repeat_interleave(tokens)
    return (frame[:, None] >= frame[None, :]).to(device)


def rope(x_BKNC: Tensor, place_N3: Tensor) -> Tensor:
    """Turns a third of the channels (an even number) with each coordinate; the rest stay."""
    size = x_BKNC.shape[-1] // 3 // 2 * 2
    parts = [_turn(x_BKNC[..., i * size : (i + 1) * size], place_N3[:, i]) for i in range(3)]
    return torch.cat([*parts, x_BKNC[..., 3 * size :]], -1)


def _turn(x_BKNC: Tensor, at_N: Tensor) -> Tensor:
    half = x_BKNC.shape[-1] // 2
    frequency = 10000.0 ** (-torch.arange(half, device=x_BKNC.device, dtype=x_BKNC.dtype) / half)
    angle_NC = (at_N[:, None] * frequency).repeat(1, 2)  # not each one twice running: see the docstring above
    even, odd = x_BKNC.unflatten(-1, (-1, 2)).unbind(-1)
    return x_BKNC * angle_NC.cos() + torch.stack([-odd, even], -1).flatten(-2) * angle_NC.sin()
