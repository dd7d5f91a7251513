"""What the processes that run one network over all copies have in common: policy, predictor and cost-to-go.

A batch of copies in one process is a convenience of the simulation, as in processes/predictor.py of the planning loop.
"""

from __future__ import annotations

from typing import Any

from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess

from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.ir.artifact import Artifact
from spikeplan.lava_procs.guided.model import GuidedModel
from spikeplan.lava_procs.guided.network import CountedNetwork


class NetworkProcess(AbstractProcess):
    """counts_out: (counted,) in the last step, this network's from `offset` on."""

    def __init__(
        self,
        *,
        params: GuidedParams,
        layout: str,
        artifact: Artifact,
        reference: str,
        offset: int,
        counted: int,
        name: str,
    ) -> None:
        super().__init__(
            params=params,
            layout=layout,
            artifact=artifact,
            reference=reference,
            offset=offset,
            counted=counted,
            name=name,
        )
        self.counts_out = OutPort(shape=(counted,))


class NetworkModel(GuidedModel):
    """Runs `network`, and says in the last step what it sent."""

    counts_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.network = CountedNetwork(proc_params["artifact"], self.params, proc_params["reference"])
        self.offset, self.counted = proc_params["offset"], proc_params["counted"]

    def send_counts(self) -> None:
        self.counts_out.send(self.network.counts(self.offset, self.counted))
