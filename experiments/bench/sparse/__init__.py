"""Networks that are sparse in weights, neurons and spikes together, and the work that candidates share."""
