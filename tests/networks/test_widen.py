import pytest
import torch

from framedose.networks.config import UNetConfig
from framedose.networks.unet import UNet
from framedose.networks.widen import widened


def made(**config):
    """A U-net with weights that are all different, also those that begin equal."""
    network = UNet(UNetConfig(**{"width": 4, "poolings": 2, "convolutions": 2, "kernel": 3} | config), seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("width", [5, 8, 12])
@pytest.mark.parametrize(
    "config", [{}, {"convolutions": 4, "kernel": 5}, {"poolings": 3}, {"classes": 3}, {"classes": 5}]
)
def test_a_wider_network_says_the_same(width, config):
    network, images = made(**config), torch.randn(2, 1, 50, 44)
    wide = widened(network, width, seed=3)
    assert wide.config == network.config.model_copy(update={"width": width})
    with torch.inference_mode():
        assert torch.allclose(wide(images), network(images), atol=2e-5 * float(network(images).abs().max()))


def test_copies_part_in_training():
    wide = widened(made(), 8, seed=3)
    images, labels = torch.randn(4, 1, 32, 32), torch.rand(4, 32, 32)
    optimizer = torch.optim.Adam(wide.parameters(), lr=1e-3)
    # Channels i and i + 4 of the first layer are copies: equal at first, not for ever.
    first = wide.down[0].convolutions[0].weight
    assert torch.equal(first[:4], first[4:])
    for _ in range(10):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(wide(images)[:, 0], labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((first[:4] - first[4:]).abs().amax(dim=(1, 2, 3)) > 1e-4).all()


def test_weights_keep_the_variance_that_suits_their_number():
    network = UNet(UNetConfig(width=8, poolings=2, convolutions=2), seed=0)
    wide = widened(network, 16, seed=0)
    fresh = UNet(UNetConfig(width=16, poolings=2, convolutions=2), seed=1)
    for block, other in zip([*wide.down, *wide.up], [*fresh.down, *fresh.up], strict=True):
        for convolution, drawn in zip(block.convolutions, other.convolutions, strict=True):
            assert convolution.weight.std().item() == pytest.approx(drawn.weight.std().item(), rel=0.15)


def test_the_seed_decides():
    one, same, other = (widened(made(), 8, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)
