import pytest
import torch

from framedose.config import build
from framedose.errors import ConfigurationError, ImageError
from framedose.networks.config import MSDNetConfig
from framedose.networks.msdnet import MSDNet

TINY = MSDNetConfig(layers=4, kernel=3, max_dilation=3)


@pytest.mark.parametrize(("width", "count"), [(1, 99_400), (2, 397_400), (4, 1_588_000)])
def test_parameter_count_shows_that_only_the_first_layer_sees_the_image(width, count):
    """50 layers 9x9: kernels 1 + (1 + ... + 49) for width 1, biases, and the final 1x1 convolution."""
    net = MSDNet(MSDNetConfig(width=width), seed=0)
    kernels = width + width**2 * 49 * 50 // 2
    expected = kernels * 81 + 50 * width + 50 * width + 1
    assert sum(p.numel() for p in net.parameters()) == expected
    assert expected == pytest.approx(count, rel=0.005)


def test_state_is_the_same_for_all_backends():
    names = ["layers.0.weight", "layers.0.bias", "layers.3.weight", "final.weight", "final.bias"]
    states = [MSDNet(TINY, seed=2, backend=backend).state_dict() for backend in ("auto", "reference", "cpu")]
    for state in states:
        assert set(names) <= set(state)
        assert all(torch.equal(value, states[0][name]) for name, value in state.items())
    assert states[0]["layers.3.weight"].shape == (1, 3, 3, 3)


def test_dilations_are_seeded():
    config = MSDNetConfig(layers=200, dilation_seed=3)
    first, again = MSDNet(config, seed=0), MSDNet(config, seed=1)
    other = MSDNet(config.model_copy(update={"dilation_seed": 4}), seed=0)
    assert first.dilations == again.dilations != other.dilations
    assert set(first.dilations) == set(range(1, 11))


def test_parameters_are_seeded_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    a, b, c = (MSDNet(TINY, seed=seed).layers[2].weight for seed in (7, 7, 8))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_initial_scale_holds_with_depth(activation):
    """The mean square of the maps, on average over networks, is that of the image, also in the last layers."""
    image = torch.randn(1, 1, 48, 48, generator=torch.Generator().manual_seed(1))
    squares = []
    for seed in range(12):
        net = MSDNet(MSDNetConfig(layers=20, kernel=5, max_dilation=4, activation=activation, classes=4), seed=seed)
        with torch.no_grad():
            squares.append(net(image).square().mean())
    assert 0.5 < torch.stack(squares).mean() < 2


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_receptive_field(backend):
    """A changed pixel reaches as far as the reaches of all layers together, and no farther."""
    net = MSDNet(TINY, seed=1, backend=backend)
    reach = sum(net.dilations)
    image = torch.zeros(1, 1, 4 * reach + 1, 4 * reach + 1)
    for layer in net.layers:
        torch.nn.init.constant_(layer.weight, 0.1)
    torch.nn.init.constant_(net.final.weight, 1.0)
    with torch.no_grad():
        before = net(image)
        image[0, 0, 2 * reach, 2 * reach] = 1
        rows, columns = torch.nonzero((net(image) != before)[0, 0], as_tuple=True)
    for axis in (rows, columns):
        assert (axis.min(), axis.max()) == (reach, 3 * reach)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_image_must_exceed_the_halo(backend):
    net = MSDNet(MSDNetConfig(layers=2, kernel=5, max_dilation=1), seed=0, backend=backend)
    assert net.halo == 2
    assert net(torch.zeros(1, 1, 3, 3)).shape == (1, 1, 3, 3)
    with pytest.raises(ImageError, match=r"2 x 9 pixels.*reflects 2 pixels.*give a larger image"):
        net(torch.zeros(1, 1, 2, 9))


def test_wrong_shape_and_wrong_kind_are_refused():
    with pytest.raises(ImageError, match=r"\(batch, 1, height, width\)"):
        MSDNet(TINY, seed=0)(torch.zeros(16, 16))
    with pytest.raises(ImageError, match="float32 on the CPU"):
        MSDNet(TINY, seed=0, backend="cpu")(torch.zeros(1, 1, 16, 16, dtype=torch.float64))


@pytest.mark.parametrize("values", [{"kernel": 4}, {"width": 3}, {"layers": 0}, {"max_dilation": 0}, {"depth": 5}])
def test_settings_are_checked(values):
    with pytest.raises(ConfigurationError):
        build(MSDNetConfig, values, where="test")


@pytest.mark.parametrize(("activation", "width"), [("relu", 1), ("leaky_relu", 1), ("leaky_relu", 2)])
def test_reference_gradients_in_double_precision(activation, width):
    config = MSDNetConfig(layers=3, width=width, kernel=3, max_dilation=2, activation=activation, classes=2)
    net = MSDNet(config, seed=3).double()
    image = torch.randn(1, 1, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in net.named_parameters()]

    def compute(x, *parameters):
        return torch.func.functional_call(net, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(compute, (image, *net.parameters()))
