"""The floor: uniform random actions."""

from spikeplan.evaluation.methods.base import Method

METHOD = Method(name="random", family="floor", relative_cost=0.0, marker="x", files=lambda bundle: [])
