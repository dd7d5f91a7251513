"""A pooled latent as tokens: slices of it, one after the other.

The shipped encoder puts out one vector and no map of places, so a token here is a group of `SLICE` neighbouring numbers of it,
and its position is the group's. It says how networks of tokens cost and convert; it says nothing about space.
Shapes: D latent, T tokens of S numbers; (..., D) -> (..., T, S). Where S does not divide D, zeros fill the last token.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

from spikeplan.core.errors import UserError

SLICE = 8


def tokens_of(latent_dim: int) -> int:
    """How many slices a latent has."""
    return -(-latent_dim // SLICE)


def sliced(latent: Tensor) -> Tensor:
    """(N, D) -> (N, T, S)."""
    rest = -latent.shape[-1] % SLICE
    whole = pad(latent, (0, rest)) if rest else latent
    parts: Tensor = whole.unflatten(-1, (-1, SLICE))
    return parts


def check_widths(name: str, hidden: tuple[int, ...], multiple: int) -> None:
    """`hidden`: one width a block. Raises UserError for widths that differ or that are no multiple of `multiple`."""
    if not hidden or len(set(hidden)) != 1 or hidden[0] < multiple or hidden[0] % multiple:
        raise UserError(
            f"predictor {name!r}: hidden {hidden}; give every block the same width, a multiple of {multiple}, such as (48, 48)"
        )
