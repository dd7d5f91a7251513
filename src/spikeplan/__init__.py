"""spikeplan: neuromorphic planning with JEPA world models."""
