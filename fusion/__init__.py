"""Frames, events and proprioception fused into one latent."""
