"""A whole CEM plan as one GPU kernel (Triton, the extra `fused`), the same kernel in Triton's interpreter, and the same plan
in torch operations that a CUDA graph can hold."""

from spikeplan.worldmodel.planning.fused.interpreter import interpreted_plans
from spikeplan.worldmodel.planning.fused.planner import FusedPlanner, FusedTrace, Tile
from spikeplan.worldmodel.planning.fused.torch_plan import torch_plan

__all__ = ["FusedPlanner", "FusedTrace", "Tile", "interpreted_plans", "torch_plan"]
