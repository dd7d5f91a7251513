"""The event encoder: input coding, conversion, state over windows; the same integers in Lava."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.experiments.fusion_study.convert import lava_equality
from spikeplan.snn.event_encoder import COUNT_SCALE, COUNT_TOP, EventEncoder, SpikingEventEncoder, event_input

D, E = 6, 20


@pytest.fixture
def trained() -> tuple[EventEncoder, Artifact, torch.Tensor, torch.Tensor]:
    """A random encoder, its artifact, and a walk of (latent, sparse sums of events) of 40 windows."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = EventEncoder(D, E, (24, 16))
    latent = torch.randn(1, D, generator=generator) + 0.1 * torch.randn(40, D, generator=generator).cumsum(0)
    sparse = torch.rand(40, E, generator=generator) < 0.2
    count = (torch.randint(-9, 10, (40, E), generator=generator) * sparse).float()
    artifact, _ = convert(encoder.of_input(), Calibration(latent, event_input(count)), SigmaDelta(thresholds=0.05))
    return encoder, artifact, latent, count


def test_counts_are_clipped_and_scaled() -> None:
    counts = torch.tensor([[0, 3, -100, 100]], dtype=torch.int8)
    expected = [0, 3 / COUNT_SCALE, -COUNT_TOP / COUNT_SCALE, COUNT_TOP / COUNT_SCALE]
    assert event_input(counts).tolist() == [expected]


def test_integers_follow_the_dense_encoder(trained: Any) -> None:
    encoder, artifact, latent, count = trained
    spiking = SpikingEventEncoder(artifact)
    found = torch.cat([spiking(z[None], e[None]) for z, e in zip(latent, count, strict=True)])
    with torch.no_grad():
        dense = encoder(latent, count)
    error = (found - dense)[1:].square().mean() / dense.var()
    assert error < 0.02, "the zero network's is 1 or more"


def test_an_unchanged_input_is_silent(trained: Any) -> None:
    _, artifact, latent, count = trained
    spiking = SpikingEventEncoder(artifact)
    for _ in range(30):  # what is owed is paid
        first = spiking(latent[:1], count[:1])
    spiking.counts = []
    assert torch.equal(spiking(latent[:1], count[:1]), first)
    assert sum(count.messages for count in spiking.counts[:-1]) == 0
    assert sum(count.updates for count in spiking.counts) > 0, "neurons update whether messages arrive or not"


def test_state_is_kept_until_reset(trained: Any) -> None:
    _, artifact, latent, count = trained
    spiking = SpikingEventEncoder(artifact)
    fresh = spiking(latent[5:6], count[5:6])
    spiking(latent[20:21], count[20:21])
    spiking.reset()
    assert spiking.counts == []
    assert torch.equal(spiking(latent[5:6], count[5:6]), fresh)


def test_lava_computes_the_same_integers(trained: Any, tmp_path: Path) -> None:
    _, artifact, latent, count = trained
    found = lava_equality(artifact, latent[:12], event_input(count[:12]), workdir=tmp_path, timeout_s=600)
    assert found.passes == 12 and found.values_compared > 12 * (D + E)
    assert found.values_different == 0, found.first_difference
    assert min(found.nonzero_share.values()) > 0.02, "zeros equal zeros: that would prove nothing"


def test_a_predictor_without_room_for_events_is_refused(make_chain: Callable[..., Artifact]) -> None:
    with pytest.raises(UserError, match="no events"):
        SpikingEventEncoder(make_chain(np.random.default_rng(0), (4, 8, 8, 4)))
