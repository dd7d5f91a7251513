"""Leaky integrate-and-fire spikes (snnTorch), rate coded over a few time steps."""

from spikeplan.evaluation.methods.base import Method
from spikeplan.snn.lif_predictor import LIFPredictor

METHOD = Method(
    name="lif",
    family="spiking",
    make=lambda site: LIFPredictor(site.bundle.lif),
    files=lambda bundle: [bundle.model_path, bundle.beside("lif")],
    relative_cost=5.8,
    colour="#CC79A7",
    marker="s",
)
