"""Training: batches, checkpoints and the one loop."""
