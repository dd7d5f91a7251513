"""The matched-bits opponent: the same predictor as an int8 dense network, with or without skipping zeros.

    q_l = clip(round(x_l / m_l), +-127);  y = (W_int q_l) * (w_l m_l) + b;  x_(l+1) = relu(y)

Per-tensor symmetric scales: w_l = max|W| / 127, m_l = the calibrated top / 127. The latent and the action have scales
of their own, as in the spiking form. W_int q is exact in float32 (|sum| < 2^24 up to 1040 inputs).
`zero_skip` counts only the MACs whose input is non-zero (what a zero-skipping accelerator would spend).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import WEIGHT_BITS, limit
from spikeplan.worldmodel.predictor import OffChip, ResidualPredictor, check_reference

TOP = float(limit(WEIGHT_BITS))


class Int8Predictor(OffChip):
    references = ("zero",)
    spiking = False
    precision = "int8"

    def __init__(
        self, module: ResidualPredictor, latent_ND: Tensor, action_NA: Tensor, *, zero_skip: bool = False
    ) -> None:
        if not torch.isfinite(latent_ND).all():
            raise UserError("int8: a calibration latent is not finite; record it again from a trained model")
        if not isinstance(module, ResidualPredictor):
            raise UserError(
                f"int8: {type(module).__name__} is no residual ReLU chain; plan with --method dense, or write a method for it"
            )
        self.zero_skip = zero_skip
        linears = module.linears()
        d = module.latent_dim
        first = linears[0].weight.detach()
        latent_top = latent_ND.abs().max()
        # Actions are scaled so that their columns use the int8 range too.
        self.stretch = (first[:, d:].abs().max() / first[:, :d].abs().max()).item()
        self.weight, self.scale_in, self.bias = [], [], [m.bias.detach() for m in linears]
        x = torch.cat([latent_ND, action_NA * self.stretch], -1)
        weights = [torch.cat([first[:, :d], first[:, d:] / self.stretch], 1)] + [m.weight.detach() for m in linears[1:]]
        self.top_in: list[float] = []
        for i, w in enumerate(weights):
            unit = w.abs().max() / TOP
            top = max(float(latent_top), float(x.abs().max())) / TOP if i == 0 else float(x.abs().max()) / TOP
            self.weight.append((w / unit).round().T.contiguous())
            self.top_in.append(top)
            self.scale_in.append(float(unit) * top)
            with torch.no_grad():
                x = x @ w.T + self.bias[i]
                x = x.relu()
        self._names = [f"h{i}" for i in range(1, len(weights) + 1)]

    def memory(self) -> dict[str, tuple[int, int]]:
        return {name: (w.numel(), 3 * w.shape[1]) for name, w in zip(self._names, self.weight, strict=True)}

    def weights_left(self) -> dict[str, int]:
        """Layer -> weights that are not zero after rounding."""
        return {name: int(w.count_nonzero()) for name, w in zip(self._names, self.weight, strict=True)}

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str = "zero", previous: Any = None) -> None:
        check_reference(reference, self.references)

    @torch.no_grad()
    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: None) -> tuple[Tensor, None, list[LayerCounts]]:
        rows = latent_BSD.shape[0] * latent_BSD.shape[1]
        x = torch.cat([latent_BSD, action_BSA * self.stretch], -1).reshape(rows, -1)
        counts = []
        for i, w in enumerate(self.weight):
            q = (x * (1.0 / self.top_in[i])).round_()
            over = int((q.abs() > TOP).sum())
            q.clamp_(-TOP, TOP)
            full = rows * w.numel()
            macs = int(q.abs().clamp_(max=1.0).sum()) * w.shape[1] if self.zero_skip else full
            counts.append(
                LayerCounts(
                    layer=self._names[i],
                    macs=macs,
                    saturated=over,
                    dense_macs=full,
                    calls=rows,
                    state_reads=rows * w.shape[0],
                    state_writes=rows * w.shape[1],
                )
            )
            x = torch.addmm(self.bias[i], q, w, alpha=self.scale_in[i])
            if i + 1 < len(self.weight):
                x.relu_()
        return latent_BSD + x.view_as(latent_BSD), None, counts
