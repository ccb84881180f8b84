"""The GPU kernel, on a GPU if there is one and else in Triton's interpreter on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kernel_checks import assert_equals_reference, example, reference, run

from framedose.errors import ImageError
from framedose.networks.config import MSDNetConfig
from framedose.networks.kernels import choose
from framedose.networks.msdnet import MSDNet

pytest.importorskip("triton")
from framedose.networks.kernels import cuda, cuda_backward, cuda_forward

TINY = MSDNetConfig(layers=2, width=2, kernel=3, max_dilation=2, activation="leaky_relu", negative_slope=0.9)


@pytest.fixture(
    params=[
        pytest.param("cpu", marks=pytest.mark.skipif(not cuda_forward.INTERPRETED, reason="needs TRITON_INTERPRET=1")),
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(
                    not torch.cuda.is_available() or cuda_forward.INTERPRETED,
                    reason="needs a CUDA device and no TRITON_INTERPRET",
                ),
            ],
        ),
    ]
)
def device(request):
    return request.param


@pytest.fixture
def large_tiles(device, monkeypatch):
    """Fewer and larger tiles in the interpreter, whose time is that of the number of operations, not of their size."""
    if device == "cpu":
        for name, value in {"PIXELS": 1024, "DEPTH": 128, "PLACES": 4096, "PARTS": 1, "COLUMNS": 2048}.items():
            for module in (cuda_forward, cuda_backward):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, value)


def on(device, config, *size, seed=0, kind=torch.float32):
    return [part.to(device, kind) for part in example(config, "cuda", *size, seed=seed)]


def assert_exact(device, layers, width, kernel, max_dilation, classes, batch, size, activation):
    config = MSDNetConfig(
        layers=layers,
        width=width,
        kernel=kernel,
        max_dilation=max_dilation,
        classes=classes,
        activation=activation,
        negative_slope=0.2,
    )
    assert_equals_reference(*on(device, config, batch, *size))


def test_tiles_of_a_gpu(device):
    """Images of several tiles, and pixels shared by several parts."""
    assert_exact(device, 2, 2, 3, 6, 1, 2, (17, 13), "leaky_relu")


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize(
    ("layers", "width", "kernel", "max_dilation", "classes", "batch", "size", "activation"),
    [
        (1, 1, 9, 1, 1, 1, (5, 6), "relu"),
        (3, 1, 3, 10, 1, 2, (16, 11), "leaky_relu"),
        (14, 1, 9, 2, 1, 1, (9, 10), "leaky_relu"),
        (3, 2, 5, 3, 3, 1, (7, 12), "relu"),
        (2, 2, 9, 10, 1, 1, (41, 43), "leaky_relu"),
        (2, 4, 11, 1, 1, 2, (7, 6), "leaky_relu"),
        (4, 4, 7, 2, 1, 1, (7, 8), "relu"),
        (3, 8, 3, 4, 1, 1, (9, 7), "relu"),
        (3, 8, 9, 1, 3, 1, (5, 6), "leaky_relu"),
    ],
)
def test_forward_and_gradients_equal_the_reference(
    layers, width, kernel, max_dilation, classes, batch, size, activation, device
):
    assert_exact(device, layers, width, kernel, max_dilation, classes, batch, size, activation)


@pytest.mark.usefixtures("large_tiles")
@pytest.mark.parametrize(("layers", "width", "kernel"), [(6, 1, 5), (3, 4, 5)])
def test_bfloat16_is_as_exact_as_the_reference_in_bfloat16(layers, width, kernel, device):
    """Maps, operands of products and results have 8 bits, so the error is a few times 2^-9.

    Plain PyTorch rounds in the same places; chance decides which is nearer to the exact result, but neither is by much.
    Triton's interpreter cuts off where a GPU rounds: its errors are twice as large and of one sign, so that they do not
    cancel from layer to layer. The slope is near one because a value near zero whose sign changes by rounding changes
    the gradient by the difference of the slopes. An error beyond that of float32 shows that bfloat16 was computed.
    """
    config = MSDNetConfig(
        layers=layers, width=width, kernel=kernel, max_dilation=2, activation="leaky_relu", negative_slope=0.9
    )
    arguments = on(device, config, 1, 12, 13, kind=torch.bfloat16)
    results = run(*arguments), reference(*arguments, kind=torch.bfloat16), reference(*arguments)
    assert all(value.dtype == torch.bfloat16 for value in results[0])
    # Of the parameters together: a bias alone can have a gradient near zero.
    together = [[logits, image, torch.cat([p.flatten() for p in rest])] for logits, image, *rest in results]
    for value, other, true in zip(*together, strict=True):
        error, usual = ((v.double() - true).norm() / true.norm() for v in (value, other))
        assert error <= (4 if device == "cpu" else 1.5) * usual + 2**-9
    assert (results[0][0].double() - results[2][0]).norm() > 0.1 * 2**-9 * results[2][0].norm()


@pytest.mark.usefixtures("large_tiles")
def test_bit_for_bit_the_same_again(device):
    arguments = on(device, TINY, 2, 9, 12)
    first, second = run(*arguments), run(*arguments)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.usefixtures("large_tiles")
def test_images_of_a_batch_do_not_touch_each_other(device, monkeypatch):
    """Together, alone, and together but one at a time in memory."""
    net, image, incoming = on(device, TINY, 2, 7, 9)
    together = run(net, image, incoming)
    alone = run(net, image[1:], incoming[1:])
    assert torch.equal(alone[0][0], together[0][1])
    assert torch.equal(alone[1][0], together[1][1])
    monkeypatch.setattr(cuda_forward, "SCRATCH", 1)
    for ours, theirs in zip(run(net, image, incoming), together, strict=True):
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    with torch.no_grad():
        assert torch.equal(net(image), together[0])


@pytest.mark.usefixtures("large_tiles")
def test_image_without_gradient_and_not_contiguous(device):
    net, image, incoming = on(device, TINY, 2, 8, 8)
    plain = run(net, image.transpose(2, 3).contiguous(), incoming.transpose(2, 3).contiguous())
    net.zero_grad()
    net(image.transpose(2, 3)).backward(incoming.transpose(2, 3))
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), plain[2:], strict=True))


@pytest.mark.usefixtures("large_tiles")
def test_autocast_stores_bfloat16(device):
    net, image, incoming = on(device, TINY, 1, 8, 9)
    exact = reference(net, image, incoming)
    with torch.autocast(device, torch.bfloat16):
        logits = net(image)
    assert logits.dtype == torch.bfloat16
    logits.backward(incoming.bfloat16())
    grads = [parameter.grad for parameter in net.parameters()]
    assert all(grad.dtype == torch.float32 for grad in grads)
    for ours, theirs in zip(([logits], grads), (exact[:1], exact[2:]), strict=True):
        ours, theirs = (torch.cat([value.flatten() for value in values]) for values in (ours, theirs))
        assert (ours - theirs).norm() <= 8 * 2**-9 * theirs.norm()
    with torch.autocast(device, torch.float16), pytest.raises(ImageError, match="under autocast, which must then be"):
        net(image)


def test_refused_where_it_cannot_run(device, monkeypatch):
    net, image, _ = on(device, TINY, 1, 8, 9)
    with pytest.raises(
        ImageError, match=r"backend 'cuda' computes in float32 or bfloat16.*got an image of torch.float64"
    ):
        net(image.double())
    monkeypatch.setattr(choose, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match="install triton, or use backend 'auto'"):
        net(image)


def test_auto_takes_it_only_for_tensors_on_a_gpu(device):
    fast = {torch.float32, torch.bfloat16} if device == "cuda" else set()
    for kind in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        x = torch.zeros(1, 1, 8, 8, dtype=kind, device=device)
        assert (choose.choose("auto", x, x) is cuda.forward) == (kind in fast)


def outside(*arguments):
    """Run Python without the interpreter and return what it printed."""
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_forced_without_gpu_and_interpreter():
    program = """
import torch
from framedose.errors import ImageError
from framedose.networks.config import MSDNetConfig
from framedose.networks.msdnet import MSDNet
try:
    MSDNet(MSDNetConfig(layers=1, kernel=3), seed=0, backend="cuda")(torch.zeros(1, 1, 16, 16))
except ImageError as error:
    print(error)
"""
    assert "on cpu: move them to a GPU, or use backend 'auto'" in outside("-c", program)


def test_kernels_compile_for_a_gpu(tmp_path):
    """The interpreter knows neither types nor registers; the compiler needs no GPU."""
    printed = outside(str(Path(__file__).parent / "compile_kernels.py"), str(tmp_path))
    forward, backward = ["_row_sums", "_finish", "_final"], ["_sums_gradient", "_weight_products", "_give_inputs"]
    names = [*forward, *backward, "_add_rows", "_image_gradient"]
    assert set(printed.splitlines()) == {f"{name} {kind}" for name in names for kind in ("float32", "bfloat16")}


def test_benchmark_runs_small():
    benchmark = Path(__file__).parents[2] / "benchmarks" / "msdnet_gpu.py"
    result = json.loads(outside(str(benchmark), "--smoke").splitlines()[-1])
    assert max(result["errors"].values()) < 1e-4
    assert [run["batch"] for run in result["results"]] == [1, 2]


def test_network_of_another_backend_has_the_same_parameters():
    ours, theirs = (MSDNet(TINY, seed=2, backend=backend).state_dict() for backend in ("cuda", "reference"))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
