"""Networks: U-net, MSD-net and its kernels, preprocessing, weights."""
