"""The counter against counts made by hand and torch's own, and the V-JEPA 2-AC skeleton against its closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.encoder import Encoder, EncoderConfig
from spikeplan.worldmodel.mac_counter import count_macs
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.vjepa2_ac import VJEPA2ACConfig, VJEPA2ACPredictor, block_causal, places, rope

SMALL = VJEPA2ACConfig(grid=2, encoder_width=20, width=24, depth=2, heads=2, action_dim=3)


def skeleton(frames: int, config: VJEPA2ACConfig, device: str = "meta") -> tuple[VJEPA2ACPredictor, list[torch.Tensor]]:
    with torch.device(device):
        action = torch.zeros(1, frames, config.action_dim)
        latent = torch.zeros(1, frames, config.patches, config.encoder_width)
        return VJEPA2ACPredictor(config).eval(), [latent, action, action]


def by_hand(frames: int, c: VJEPA2ACConfig) -> tuple[int, int]:
    """(with weights, of activations). A block has 3 + 1 + 2 x ratio squares of the width and is passed by every token; QK'
    and AV take width MACs for each pair of tokens; patches alone are embedded and projected back."""
    n = frames * c.tokens
    blocks = c.depth * (3 + 1 + 2 * c.mlp_ratio) * c.width**2 * n
    ends = 2 * frames * c.patches * c.encoder_width * c.width + 2 * frames * c.action_dim * c.width
    return blocks + ends, c.depth * 2 * n**2 * c.width


@pytest.mark.parametrize(("frames", "gmac"), [(1, 81.9), (2, 170.4)])
def test_full_scale_row(frames: int, gmac: float):
    module, inputs = skeleton(frames, VJEPA2ACConfig())
    found = count_macs(module, *inputs)
    assert (found.macs.weight, found.macs.activation) == by_hand(frames, VJEPA2ACConfig())
    assert round(found.macs.total / 1e9, 1) == gmac
    assert found.output.shape == (1, frames, 256, 1408)
    if frames == 1:
        # 24 x (12 x 1024^2 + biases and norms 13 x 1024) + 2 x 1408 x 1024 + 1408 + 1024, actions and states 7 x 1024 each,
        # extrinsics 6 x 1024, three biases, the last norm: what the published code has
        assert sum(p.numel() for p in module.parameters()) == 305_220_992
        assert round(2 * found.macs.total * 800 * 10 / 1e15, 2) == 1.31
        assert found.macs.activation / found.macs.total == pytest.approx(0.04, abs=0.001)


def test_meta_and_real_memory_count_the_same():
    for frames in (1, 3):
        counts = [count_macs(m, *x).layers for m, x in (skeleton(frames, SMALL, d) for d in ("meta", "cpu"))]
        assert counts[0] == counts[1]
        assert sum(v.weight for v in counts[0].values()) == by_hand(frames, SMALL)[0]
        assert sum(v.activation for v in counts[0].values()) == by_hand(frames, SMALL)[1]
        assert {name for name, v in counts[0].items() if v.activation} == {f"predictor_blocks.{i}.attn" for i in (0, 1)}


@pytest.mark.parametrize("training", [True, False])
def test_agrees_with_torchs_own_counter(training: bool):
    """On the meta device: on the CPU torch's counter passes over the fused attention in silence."""
    with torch.device("meta"):
        encoder = Encoder(EncoderConfig(image_shape=(3, 32, 32), latent_dim=8)).train(training)
        image = torch.zeros(2, 3, 32, 32)
    found = count_macs(encoder, image).macs
    with FlopCounterMode(display=False) as theirs, torch.no_grad():
        encoder(image)
    assert 2 * found.total == theirs.get_total_flops()
    assert found.total == 2 * encoder.macs()
    assert count_macs(encoder.to_empty(device="cpu"), torch.zeros(2, 3, 32, 32)).macs == found


def test_dense_predictor_and_op_counts_form():
    predictor = ResidualPredictor(64, 2)
    found = count_macs(predictor, torch.zeros(5, 7, 64), torch.zeros(5, 7, 2))
    assert [(c.layer, c.macs) for c in found.layer_counts(calls=35)] == [
        ("net.0", 35 * 66 * 256),
        ("net.2", 35 * 256 * 256),
        ("net.4", 35 * 256 * 64),
    ]
    assert found.macs.activation == 0


def test_convolutions_groups_and_transposed():
    # 6 -> 4 channels in 2 groups of 3 -> 2, kernel 3x3, 8x8 image, stride 2, padding 1: 4 x 3 x 9 weights at 16 places
    conv = nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2)
    assert count_macs(conv, torch.zeros(2, 6, 8, 8)).macs.weight == 2 * 16 * 4 * 3 * 9
    back = nn.ConvTranspose2d(4, 6, 2, stride=2)  # every one of 16 inputs meets all 4 x 6 x 4 weights
    assert count_macs(back, torch.zeros(1, 4, 4, 4)).macs.weight == 16 * 4 * 6 * 4


class Bare(nn.Module):
    """Products without a submodule: of a parameter, of activations, and one that no rule knows."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.w = what, nn.Parameter(torch.ones(3, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.what == "parameter":
            return torch.einsum("nk,km->nm", x, self.w)
        if self.what == "activations":
            return x @ x.T
        return torch.cdist(x, x)


def test_products_are_told_apart_and_none_is_skipped():
    x = torch.ones(5, 3)
    assert count_macs(Bare("parameter"), x).layers["(top)"].weight == 5 * 3 * 4
    assert count_macs(Bare("activations"), x).layers["(top)"].activation == 5 * 3 * 5
    with pytest.raises(UserError, match=r"'\(top\)'.*cdist.*give it a rule: spikeplan.worldmodel.mac_counter.register"):
        count_macs(Bare("unknown"), x)


def test_parameters_are_named_as_in_the_checkpoint():
    """A checkpoint of the published code loads with strict=True: its names, by hand, of a block and of the rest."""
    names = set(VJEPA2ACPredictor(SMALL).state_dict())
    ends = (
        "predictor_embed",
        "action_encoder",
        "state_encoder",
        "extrinsics_encoder",
        "predictor_norm",
        "predictor_proj",
    )
    block = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
    layers = [*ends, *(f"predictor_blocks.{i}.{part}" for i in range(SMALL.depth) for part in block)]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_a_frame_does_not_see_the_next():
    torch.manual_seed(0)
    module = VJEPA2ACPredictor(SMALL).eval()
    latent, action = torch.randn(1, 3, 4, 20), torch.randn(1, 3, 3)
    with torch.no_grad():
        before = module(latent, action, action)
        latent[:, 2] += 1.0
        action[:, 2] += 1.0
        after = module(latent, action, action)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2], after[:, 2])
    assert block_causal(2, 2).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


def test_rotation_by_hand():
    # One head of 12 channels: 4 for each coordinate, frequencies 1 and 1/100, and the list repeats: f0 f1 f0 f1.
    place = places(2, 2)[[1, 11]]  # state of frame 0; last patch of frame 1
    assert place.tolist() == [[0, 0, 0], [1, 1, 1]]
    x = torch.arange(1.0, 14.0).expand(1, 1, 2, 13)
    still, turned = rope(x, place)[0, 0]
    assert torch.equal(still, x[0, 0, 0])
    f0, f1 = torch.tensor(1.0), torch.tensor(0.01)
    expected = [
        1 * f0.cos() - 2 * f0.sin(),
        2 * f1.cos() + 1 * f1.sin(),
        3 * f0.cos() - 4 * f0.sin(),
        4 * f1.cos() + 3 * f1.sin(),
    ]
    assert torch.allclose(turned[:4], torch.stack(expected))
    assert turned[12] == 13  # the channel left over


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="divide the width"):
        VJEPA2ACConfig(width=100)
    module, inputs = skeleton(1, SMALL)
    with pytest.raises(ValueError, match=r"3 patches a frame.*has 4"):
        module(inputs[0][:, :, :3], *inputs[1:])
