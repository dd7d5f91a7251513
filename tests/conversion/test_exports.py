"""Networks that other frameworks export to NIR fire here as they fire there, spike for spike, bias and all."""

from __future__ import annotations

import warnings

import pytest

from spikeplan.core.ir.graph import pipelined
from spikeplan.experiments.bench.peers.exports import EXPORTS, fired, read_back


@pytest.mark.parametrize("framework", EXPORTS)
def test_an_exported_network_fires_as_its_framework_does(framework: str) -> None:
    pytest.importorskip("nir")
    pytest.importorskip(framework, reason=f"{framework} is not installed; `make peers` installs it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own
        export = EXPORTS[framework]()
    graph = read_back(export)
    ours = fired(graph)
    assert ours.shape == export.spikes.shape and (ours == export.spikes).all()
    assert 0.05 < ours.mean() < 0.95, "silence would agree, too"
    assert (fired(pipelined(graph))[3:] == ours[:-3]).all()
