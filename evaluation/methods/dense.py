"""The dense fp32 predictor, and the same weights in int8: the matched-bits opponent of every graded spike."""

from spikeplan.evaluation.methods.base import Method, Site
from spikeplan.worldmodel.int8 import Int8Predictor
from spikeplan.worldmodel.predictor import DensePredictor, Predictor


def int8_predictor(site: Site, *, zero_skip: bool = False) -> Predictor:
    """The world model's predictor in 8 bits."""
    data = site.calibration
    return site.once(
        f"int8, zero_skip {zero_skip}",
        lambda: Int8Predictor(site.bundle.model.predictor, data.latent_ND, data.action_NA, zero_skip=zero_skip),
    )


METHOD = (
    Method(
        name="dense",
        family="dense",
        make=lambda site: DensePredictor(site.bundle.model.predictor),
        colour="#000000",
        marker="D",
    ),
    Method(name="int8", family="dense", make=int8_predictor, relative_cost=1.05, colour="#0072B2"),
    Method(
        name="zero_skipping",
        family="zero_skipping",
        make=lambda site: int8_predictor(site, zero_skip=True),
        relative_cost=1.1,
        colour="#56B4E9",
        marker="s",
    ),
)
