"""The dense side: tasks, the JEPA world model, its training, the planner."""

from spikeplan.worldmodel.tasks import register

register()
