"""The dense side: tasks, the JEPA world model, its training, the planner."""

from worldmodel.tasks import register

register()
