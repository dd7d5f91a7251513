"""The ceiling: the simulator itself as the predictor, on true states. Nothing is counted."""

from spikeplan.evaluation.methods.base import Method, Site
from spikeplan.worldmodel.predictor import Predictor, TrueStatePredictor
from spikeplan.worldmodel.tasks import make_world


def _make(site: Site) -> Predictor:
    return TrueStatePredictor(make_world(site.bundle.task))


METHOD = Method(name="oracle", family="oracle", make=_make, files=lambda bundle: [], relative_cost=0.1, marker="P")
