import threading

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kernel_checks import assert_equals_reference, example, least_preactivation, reference, run

from framedose.networks.config import MSDNetConfig
from framedose.networks.kernels import cpu, cpu_bands
from framedose.networks.kernels.cpu_layout import plan, size
from framedose.networks.msdnet import MSDNet


@pytest.mark.parametrize(
    ("layers", "width", "kernel", "max_dilation", "classes", "batch", "size"),
    [
        (1, 1, 9, 10, 1, 1, (41, 42)),
        (3, 1, 3, 10, 1, 2, (16, 37)),
        (8, 1, 9, 10, 1, 2, (64, 64)),
        (8, 2, 9, 7, 2, 2, (53, 47)),
        (5, 4, 11, 3, 1, 3, (17, 31)),
        (3, 8, 5, 4, 3, 1, (40, 33)),
        (6, 1, 7, 10, 1, 1, (70, 129)),
    ],
)
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_forward_and_gradients_equal_the_reference(
    layers, width, kernel, max_dilation, classes, batch, size, activation
):
    config = MSDNetConfig(
        layers=layers,
        width=width,
        kernel=kernel,
        max_dilation=max_dilation,
        classes=classes,
        activation=activation,
        negative_slope=0.2,
    )
    assert_equals_reference(*example(config, "cpu", batch, *size))


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("kernel", [3, 5, 7, 9, 11])
def test_every_width_and_kernel(width, kernel):
    """At dilations 1, 3 and 4 [px], on the smallest images that these admit, of odd and of unequal sides."""
    config = MSDNetConfig(layers=3, width=width, kernel=kernel, max_dilation=4, dilation_seed=26, classes=3)
    net = MSDNet(config, seed=0)
    assert set(net.dilations) == {1, 3, 4}
    assert_equals_reference(*example(config, "cpu", 2, net.minimum_size, net.minimum_size // 2 * 2 + 13))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.data())
def test_any_size_above_the_halo(data):
    config = MSDNetConfig(
        layers=data.draw(st.integers(1, 5)),
        width=data.draw(st.sampled_from([1, 2, 4, 8])),
        kernel=data.draw(st.sampled_from([3, 5, 7, 9, 11])),
        max_dilation=data.draw(st.integers(1, 10)),
        dilation_seed=data.draw(st.integers(0, 99)),
        classes=data.draw(st.sampled_from([1, 3])),
        activation=data.draw(st.sampled_from(["relu", "leaky_relu"])),
    )
    halo = MSDNet(config, seed=0).halo
    height, width = (halo + data.draw(st.integers(1, 20)) for _ in range(2))
    batch, seed = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 99))
    net, image, incoming = example(config, "cpu", batch, height, width, seed)
    assume(least_preactivation(net, image) > 2e-6)
    assert_equals_reference(net, image, incoming)


def test_where_a_pixel_lies_on_the_kink_single_precision_may_take_the_other_side():
    """Found by the test above, one pixel at 5e-7: the logits are equal, and gradients off by what that pixel has."""
    config = MSDNetConfig(layers=4, width=4, kernel=11, max_dilation=4, dilation_seed=92, activation="relu")
    halo = MSDNet(config, seed=0).halo
    net, image, incoming = example(config, "cpu", 2, halo + 18, halo + 4, 49)
    assert least_preactivation(net, image) == pytest.approx(5.09e-7, rel=0.01)
    logits, exact = run(net, image, incoming)[0], reference(net, image, incoming)[0]
    assert (logits - exact).abs().max() <= 1e-6 * exact.abs().max()


def test_bit_for_bit_the_same_again_and_with_any_number_of_threads():
    arguments = example(MSDNetConfig(layers=4, width=2, kernel=5), "cpu", 2, 200, 261)
    threads = torch.get_num_threads()
    first = run(*arguments)
    try:
        for count in (threads, 1, 2, 3):
            torch.set_num_threads(count)
            assert all(torch.equal(a, b) for a, b in zip(first, run(*arguments), strict=True))
    finally:
        torch.set_num_threads(threads)


def test_two_python_threads_at_once():
    arguments = [example(MSDNetConfig(layers=6, kernel=5), "cpu", 1, 45, 45, seed) for seed in range(2)]
    expected, results = [run(*a) for a in arguments], [None, None]

    def work(i):
        results[i] = run(*arguments[i])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for ours, theirs in zip(results, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_image_without_gradient_and_inference_give_the_same():
    net, image, incoming = example(MSDNetConfig(layers=4, kernel=5), "cpu", 2, 30, 31)
    logits, _, *gradients = run(net, image, incoming)
    net.zero_grad()
    net(image).backward(incoming)
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), gradients, strict=True))
    with torch.no_grad():
        assert torch.equal(net(image), logits)


def test_images_of_a_batch_do_not_touch_each_other():
    net, image, incoming = example(MSDNetConfig(layers=4, kernel=9), "cpu", 3, 43, 47)
    together = run(net, image, incoming)
    for i in range(3):
        alone = run(net, image[i : i + 1], incoming[i : i + 1])
        assert torch.equal(alone[0][0], together[0][i])
        assert torch.equal(alone[1][0], together[1][i])


def test_not_contiguous_image_and_gradient():
    net, image, incoming = example(MSDNetConfig(layers=3, kernel=3), "cpu", 2, 45, 45)
    plain = run(net, image.transpose(2, 3).contiguous(), incoming.transpose(2, 3).contiguous())
    strided = run(net, image.transpose(2, 3), incoming.transpose(2, 3))
    assert all(torch.equal(a, b) for a, b in zip(plain, strided, strict=True))


@pytest.mark.parametrize(
    ("layers", "width", "kernel", "classes", "size"),
    [
        (6, 1, 9, 1, (300, 61)),
        (5, 2, 5, 3, (211, 90)),
        (12, 1, 9, 1, (97, 70)),
        (3, 4, 3, 1, (513, 40)),
        (1, 1, 3, 1, (20, 20)),
    ],
)
@pytest.mark.parametrize("band", [1, 7, 64, 1000])
def test_bands_of_rows_give_what_whole_maps_give(layers, width, kernel, classes, size, band, monkeypatch):
    config = MSDNetConfig(layers=layers, width=width, kernel=kernel, classes=classes)
    net, image, _ = example(config, "cpu", 2, *size)
    with torch.inference_mode():
        whole = net(image)
        monkeypatch.setattr(cpu, "WHOLE_BYTES", 0)
        monkeypatch.setattr(cpu_bands, "BAND", band)
        # A row that was never written would show.
        monkeypatch.setattr(cpu_bands, "buffer", lambda values: torch.full((values,), torch.nan))
        in_bands = net(image)
    assert torch.equal(in_bands, whole)


def test_bands_keep_only_the_rows_that_later_layers_read():
    config = MSDNetConfig(layers=50)
    layout = plan(1, 4096, 1024, 50, 1, 9, MSDNet(config, seed=0).halo)
    windows = cpu_bands._Windows(layout, MSDNet(config, seed=0).dilations)
    assert len(windows.maps) < 0.25 * size(layout)
