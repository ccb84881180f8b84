import pytest
import torch

from framedose.errors import ImageError
from framedose.networks.config import UNetConfig
from framedose.networks.preprocess import normalise
from framedose.networks.registry import build_network, parameter_count
from framedose.networks.tiles import in_tiles
from framedose.networks.unet import UNet

TINY = UNetConfig(width=2, poolings=2, convolutions=3, kernel=3)


def test_size_of_the_papers_network():
    """3 poolings, width 32, five 5x5 convolutions a block: about 13 million parameters (earlier work of the group)."""
    assert parameter_count(build_network(UNetConfig(), seed=0)) == pytest.approx(13e6, rel=0.1)


def test_channels_double_down_and_halve_up():
    network = UNet(UNetConfig(width=4, convolutions=5), seed=0)
    assert [block.convolutions[-1].out_channels for block in network.down] == [4, 8, 16, 32]
    assert [block.convolutions[0].in_channels for block in network.up] == [48, 24, 12]
    assert [block.convolutions[-1].out_channels for block in network.up] == [16, 8, 4]


def test_short_skip_adds_the_first_output_to_the_last_input():
    network = UNet(TINY, seed=0).double()
    block = network.down[0]
    x = torch.randn(1, 1, 9, 9, dtype=torch.float64)
    first = block.activations[0](block.convolutions[0](x))
    second = block.activations[1](block.convolutions[1](first))
    assert torch.equal(block(x), block.activations[2](block.convolutions[2](second + first)))


@pytest.mark.parametrize("shape", [(64, 64), (50, 61), (33, 40)])
def test_any_size_goes_in_and_comes_out(shape):
    logits = UNet(TINY, seed=0)(torch.randn(2, 1, *shape))
    assert logits.shape == (2, 1, *shape)
    assert torch.isfinite(logits).all()


def test_too_small_an_image_is_refused():
    network = UNet(TINY, seed=0)
    assert network(torch.randn(1, 1, network.minimum_size, network.minimum_size)).isfinite().all()
    with pytest.raises(ImageError, match="at least 8 pixels"):
        network(torch.randn(1, 1, 7, 20))


def test_seed_gives_the_weights_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    one, two, other = (UNet(TINY, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_normalisation_does_not_see_scale_or_offset():
    images = torch.rand(3, 16, 16)
    out = normalise(images)
    assert out.shape == (3, 1, 16, 16)
    assert out.mean(dim=(1, 2, 3)).abs().max() < 1e-6
    assert (out.var(dim=(1, 2, 3), correction=0) - 1).abs().max() < 1e-5
    assert torch.allclose(normalise(images * 4000 + 100), out, atol=1e-4)


def test_batch_norm_is_fixed_when_predicting():
    """A trained network gives each image the same result whatever else is in the batch; far pixels do not matter."""
    network = UNet(UNetConfig(width=2, poolings=1, convolutions=2, kernel=3, norm="batch"), seed=0)
    images = torch.randn(4, 1, 48, 32) * torch.tensor([1.0, 5, 0.2, 1])[:, None, None, None]
    network(images)
    network.eval()
    together = network(images)
    assert torch.allclose(network(images[2:3]), together[2:3], atol=1e-5)
    changed = images.clone()
    changed[..., 40:, :] += 10
    assert torch.allclose(network(changed)[..., :16, :], together[..., :16, :], atol=1e-5)
    assert any("running_mean" in name for name in network.state_dict())


@pytest.mark.parametrize(("poolings", "convolutions", "kernel"), [(1, 2, 3), (2, 3, 5), (3, 2, 5)])
@pytest.mark.parametrize("size", [(203, 150), (96, 321)])
def test_tiles_give_what_the_whole_image_gives(poolings, convolutions, kernel, size):
    config = UNetConfig(width=2, poolings=poolings, convolutions=convolutions, kernel=kernel, classes=2)
    net = UNet(config, seed=3).eval()
    images = torch.randn(2, 1, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = net(images)
        tiles = in_tiles(net, images, core=2**poolings * 4)
    assert (tiles - whole).abs().max() <= 1e-5 * whole.abs().max()


@pytest.mark.parametrize(("poolings", "convolutions", "kernel"), [(1, 2, 3), (2, 3, 5), (3, 2, 5)])
def test_the_reach_is_as_far_as_a_pixel_is_felt(poolings, convolutions, kernel):
    net = UNet(UNetConfig(width=2, poolings=poolings, convolutions=convolutions, kernel=kernel), seed=0).double()
    side = 2 * (net.reach + 20)
    for shift in range(2**poolings):
        middle = side // 2 + shift
        image = torch.zeros(1, 1, side, 64, dtype=torch.float64, requires_grad=True)
        net(image)[0, 0, middle].sum().backward()
        felt = image.grad[0, 0].abs().sum(dim=1).nonzero()
        furthest = max(middle - int(felt.min()), int(felt.max()) - middle)
        assert furthest <= net.reach
        # Not far less: a tile would be larger than it need be.
        assert furthest >= net.reach - 2 ** (poolings + 2)
