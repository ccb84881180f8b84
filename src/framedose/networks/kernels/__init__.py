"""Who computes the MSD-net: plain PyTorch, or compiled kernels."""
