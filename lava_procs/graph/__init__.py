"""Any network graph (core/ir/graph) in Lava: fused into one process, or one process a node."""
