"""Cameras: transfer function, noise, and the paper's five models."""
