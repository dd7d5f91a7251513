"""Lava processes of the guided planner, one a file. Lava executes every file here, so nothing else lives here.

Import only after `spikeplan.lava_procs.python311.import_lava()`.
"""
