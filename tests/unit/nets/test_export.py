"""Networks exported and compiled, against the same networks run as they are.

Exporting takes a second or more: each kind of part is here once, and every case of the check list
among the slow tests.
"""

import pytest
import torch

QUICK = [
    "unet_original",  # crops, nearest-neighbour convolution
    "unet_residual",  # strided blocks, pooled shortcuts, instance norm, deep supervision
    "unet_attention",  # gates
    "unet_backbone-add",  # any size: repeated pixels and a cut
    "unet_fine_grained-3d",  # the same in 3D with linear enlargement, attention, a second head
]
COMPILED = ["unet_original", "unet_residual", "unet_fine_grained-3d"]


def results(network, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        output = network(image)
    return (output.logits, *output.auxiliary)


def assert_equal(program, network, image) -> None:
    pairs = zip(results(program, image), results(network, image), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def check_export(network, image: torch.Tensor) -> None:
    """Export for any batch and size, and run other sizes than the one given."""
    free = {0: torch.export.Dim.AUTO} | dict.fromkeys(range(2, image.ndim), torch.export.Dim.AUTO)

    program = torch.export.export(network, (image,), dynamic_shapes={"image": free}).module()

    assert_equal(program, network, image)
    step = network.geometry.total_stride
    sizes = [[n + (2 + i) * s for i, (n, s) in enumerate(zip(image.shape[2:], step, strict=True))]]
    if network.geometry.is_padding:
        sizes.append([edge - 1 if s > 1 else edge for edge, s in zip(sizes[0], step, strict=True)])
    for size in sizes:
        assert_equal(program, network, torch.randn(3, 1, *size))


@pytest.mark.parametrize("case_name", QUICK)
def test_exported_program_is_equal_for_any_size(case_name, small_network, small_image) -> None:
    network = small_network(case_name).eval()

    check_export(network, small_image(network))


@pytest.mark.slow
def test_every_exported_program_is_equal_for_any_size(case, small_network, small_image) -> None:
    if case in QUICK:
        pytest.skip("done already")
    network = small_network(case).eval()

    check_export(network, small_image(network))


@pytest.mark.parametrize("case_name", COMPILED)
def test_compiled_network_is_equal_and_one_graph(case_name, small_network, small_image) -> None:
    """Backend `eager`: what is tested is that one graph can be caught, not torch's C++."""
    torch.compiler.reset()
    network = small_network(case_name).eval()
    image = small_image(network)

    compiled = torch.compile(network, backend="eager", fullgraph=True)

    assert_equal(compiled, network, image)
    if network.geometry.is_padding:
        assert_equal(compiled, network, image[..., :-1])


def test_a_network_can_be_trained_compiled(small_network, small_image) -> None:
    torch.compiler.reset()
    network = small_network("unet_padding").train()  # batch statistics too
    image = small_image(network)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)

    network(image).logits.square().sum().backward()
    expected = [p.grad.clone() for p in network.parameters()]
    network.zero_grad()
    compiled(image).logits.square().sum().backward()

    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-4)
