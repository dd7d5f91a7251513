"""Synops where weights of zero are not stored, and counts of an input coder, some of whose messages serve all rows of a pass
(core/counts/once.py).

Rows that share an input send the same message for it from the zero state: it is sent once an episode, and its sums stay with the
neurons that it reaches. Shapes: B episodes, S candidates, C inputs that are shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.ir.artifact import Layer


def stored_synops(messages: Sequence[Tensor], fan_outs: Sequence[Tensor]) -> list[int]:
    """Of each layer's messages (..., N), where weights of zero take part in none; `fan_outs` (N,): of each neuron."""
    sent = [message.ne(0).flatten(0, -2).sum(0) for message in messages]
    return [int((n * f).sum()) for n, f in zip(sent, fan_outs, strict=True)]


def shared_coder(
    counts: Sequence[LayerCounts], messages_BSC: Tensor, fan_out_C: Tensor, once: Once, layers: Sequence[Layer]
) -> list[LayerCounts]:
    """The counts of the coder and of the layer after it, which are the first of both sequences.

    Args:
        messages_BSC: that were sent for the shared inputs by every row.
        fan_out_C: synops of one of them; one number where all have the same.
    """
    coder, first, receiver = counts[0], counts[1], layers[1]
    common = messages_BSC.ne(0)
    unsent_C = common.flatten(0, -2).sum(0) - (common[:, 0].sum(0) if once.rows else 0)
    saved, unsent = once.saved(messages_BSC[..., 0].numel()), int(unsent_C.sum())
    return [
        replace(
            coder,
            synops=coder.synops - int((unsent_C * fan_out_C).sum()),
            updates=coder.updates - saved,
            updates_active=coder.updates_active - unsent,
            messages=coder.messages - unsent,
            message_bits=coder.message_bits - unsent * layers[0].message_bits,
        ),
        replace(
            first,
            updates=first.updates + once.rows * receiver.n_out,  # each stores it
            dense_macs=first.dense_macs - saved * receiver.n_out,
        ),
    ]
