"""The `spikeplan` command: one module a command group, no arithmetic."""
