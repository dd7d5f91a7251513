"""How recurrent layers and cells are taken apart: into linears, gates and products, as torch's documentation writes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

aten = torch.ops.aten


def recurrent() -> dict[Any, Any]:
    """For `run_decompositions`: torch's own for layers, ours for cells."""
    known: dict[Any, Any] = torch.export.default_decompositions()
    layers = (aten.gru.input, aten.lstm.input, aten.rnn_tanh.input, aten.rnn_relu.input)
    cells = {
        aten.gru_cell.default: _gru,
        aten.lstm_cell.default: _lstm,
        aten.rnn_tanh_cell.default: _tanh,
        aten.rnn_relu_cell.default: _relu,
    }
    return {op: known[op] for op in layers if op in known} | cells


def _gates(x: Tensor, h: Tensor, weights: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    of_x, of_h, *biases = weights
    for_x, for_h = (*biases, None, None)[:2]
    return linear(x, of_x, for_x), linear(h, of_h, for_h)


def _gru(x: Tensor, h: Tensor, *weights: Any) -> Tensor:
    of_x, of_h = (part.chunk(3, -1) for part in _gates(x, h, weights))
    reset, keep = torch.sigmoid(of_x[0] + of_h[0]), torch.sigmoid(of_x[1] + of_h[1])
    new = torch.tanh(of_x[2] + reset * of_h[2])
    return (h - new) * keep + new


def _lstm(x: Tensor, state: list[Tensor], *weights: Any) -> tuple[Tensor, Tensor]:
    of_x, of_h = _gates(x, state[0], weights)
    take, forget, new, give = (of_x + of_h).chunk(4, -1)
    cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(take) * torch.tanh(new)
    return torch.sigmoid(give) * torch.tanh(cell), cell


def _tanh(x: Tensor, h: Tensor, *weights: Any) -> Tensor:
    of_x, of_h = _gates(x, h, weights)
    return torch.tanh(of_x + of_h)


def _relu(x: Tensor, h: Tensor, *weights: Any) -> Tensor:
    of_x, of_h = _gates(x, h, weights)
    return torch.relu(of_x + of_h)
