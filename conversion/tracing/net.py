"""Neurons and the affine maps between them: what the sigma-delta recipe converts.

    x_code = [latent, action]
    x_g    = relu(b_g + sum over links s -> g of W_gs x_s)          g: a group of neurons
    out    = b_out + sum over links s -> out of W_s x_s
    next   = latent + out where `residual`, else out

Shapes: N rows, D latent, A action; weight (n_dst, n_src), bias (n_dst,), both float64. Units: real values.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import linear

CODE, OUT = "code", "out"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Neurons of one ReLU. `path`: the module that it belongs to, for messages."""

    name: str
    path: str
    size: int

    def __post_init__(self) -> None:
        if self.size < 1 or self.name in (CODE, OUT):
            raise ValueError(f"group {self.name!r}: {self.size} neurons; at least one, and a name of its own")


@dataclass(frozen=True, kw_only=True)
class Link:
    """The part of what `dst` receives that comes from `src`: an exact matrix, float64."""

    src: str
    dst: str
    weight: Tensor

    def __post_init__(self) -> None:
        if self.weight.dim() != 2 or self.weight.dtype != torch.float64:
            raise ValueError(f"link {self.src}->{self.dst}: a float64 matrix is needed, not {self.weight.dtype}")


@dataclass(frozen=True, kw_only=True)
class AffineNet:
    """Groups in order of computation, the links between them, a bias for each group and for the output.

    Raises ValueError for links that go back, or whose sizes do not fit the groups.

    >>> net = affine_net(trace(predictor, calibration))
    >>> net.is_chain, net.residual, [group.size for group in net.groups]
    (True, True, [256, 256])
    """

    latent_dim: int
    action_dim: int
    groups: tuple[Group, ...]
    links: tuple[Link, ...]
    biases: dict[str, Tensor]
    residual: bool

    def __post_init__(self) -> None:
        sizes = self.sizes
        order = list(sizes)
        if set(self.biases) != set(order[1:]):
            raise ValueError(f"affine net: biases of {sorted(self.biases)}, expected of {order[1:]}")
        for link in self.links:
            if tuple(link.weight.shape) != (sizes[link.dst], sizes[link.src]):
                raise ValueError(f"link {link.src}->{link.dst}: weight {tuple(link.weight.shape)} does not fit")
            if order.index(link.src) >= order.index(link.dst):
                raise ValueError(f"link {link.src}->{link.dst}: goes back")

    @property
    def sizes(self) -> dict[str, int]:
        """Width of the coder, of each group and of the output, in order of computation."""
        inner = {group.name: group.size for group in self.groups}
        return {CODE: self.latent_dim + self.action_dim, **inner, OUT: self.latent_dim}

    @property
    def is_chain(self) -> bool:
        """Each group is fed by the one before it and by nothing else."""
        order = list(self.sizes)
        return [(link.src, link.dst) for link in self.links] == list(pairwise(order))

    def into(self, name: str) -> tuple[Link, ...]:
        """What feeds a group or the output, in order of computation of the sources."""
        return tuple(link for link in self.links if link.dst == name)

    def where(self, name: str) -> str:
        """A layer as a message names it: with the module that it comes from."""
        path = next((group.path for group in self.groups if group.name == name), "")
        return f"layer '{name}' ({path})" if path else f"layer '{name}'"

    @torch.no_grad()
    def run(self, latent_ND: Tensor, action_NA: Tensor) -> dict[str, Tensor]:
        """Output of the coder, of each group after its ReLU, and of `out` without the residual; in the inputs' type."""
        x = torch.cat([latent_ND, action_NA], -1)
        values = {CODE: x}
        for name in list(self.sizes)[1:]:
            first, *others = self.into(name)
            bias = self.biases[name].to(x.dtype)
            total = linear(values[first.src], first.weight.to(x.dtype), bias)
            for link in others:
                total = total + linear(values[link.src], link.weight.to(x.dtype))
            values[name] = total if name == OUT else total.relu()
        return values

    def after(self, latent_ND: Tensor, action_NA: Tensor) -> Tensor:
        """The next latents (N, D)."""
        out = self.run(latent_ND, action_NA)[OUT]
        return latent_ND + out if self.residual else out
