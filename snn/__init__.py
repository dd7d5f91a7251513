"""Spiking predictors in PyTorch: the sigma-delta integer reference, LIF, and their fine-tuning."""
