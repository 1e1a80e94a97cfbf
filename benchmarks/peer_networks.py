"""Time our networks beside the same architectures of MONAI and dynamic-network-architectures.

    pip install monai dynamic-network-architectures      # in an environment of its own
    python benchmarks/peer_networks.py

Forward and backward, 2D 2 x 256 x 256 and 3D 64 x 64 x 64, float32 and bfloat16 autocast; runs of
ours and theirs alternate, the best of several counts. The residual encoder U-Nets have the same
weights: ours is loaded from theirs by order, and both must compute the same logits.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from monai.networks.nets import BasicUNet, BasicUNetPlusPlus
from torch import Tensor, nn

from ushape.nets import build

ROUNDS = 5


def monai_basic(dims: int) -> tuple[nn.Module, nn.Module]:
    features = (32, 64, 128, 256, 512, 32)
    theirs = BasicUNet(
        dims, 1, 2, features, act=("RELU", {"inplace": True}), norm=("BATCH", {}), dropout=0.0
    )
    ours = build("unet_padding", classes=2, spatial_dims=dims, width=32, up="transposed")
    return ours, theirs


def monai_plusplus(dims: int) -> tuple[nn.Module, nn.Module]:
    features = (32, 64, 128, 256, 512, 32)
    theirs = BasicUNetPlusPlus(
        dims, 1, 2, features, act=("RELU", {"inplace": True}), norm=("BATCH", {}), dropout=0.0
    )
    ours = build(
        "unet_plusplus",
        classes=2,
        spatial_dims=dims,
        norm="batch",
        up="transposed",
        deep_supervision=False,
    )
    return ours, theirs


def dna_residual(dims: int) -> tuple[nn.Module, nn.Module]:
    widths, blocks = ((32, 64, 128, 256, 512), (1, 3, 4, 6, 6))
    theirs = ResidualEncoderUNet(**dna_arguments(dims, widths), n_blocks_per_stage=blocks)
    ours = build(
        "unet_residual",
        classes=2,
        spatial_dims=dims,
        widths=widths,
        blocks=blocks,
        deep_supervision=False,
    )
    return ours, theirs


def dna_arguments(dims: int, widths: tuple[int, ...]) -> dict[str, Any]:
    kinds = {2: (nn.Conv2d, nn.InstanceNorm2d), 3: (nn.Conv3d, nn.InstanceNorm3d)}[dims]
    return {
        "input_channels": 1,
        "n_stages": len(widths),
        "features_per_stage": widths,
        "conv_op": kinds[0],
        "kernel_sizes": 3,
        "strides": (1,) + (2,) * (len(widths) - 1),
        "num_classes": 2,
        "n_conv_per_stage_decoder": (1,) * (len(widths) - 1),
        "conv_bias": True,
        "norm_op": kinds[1],
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }


def used_parameters(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """List what reaches the logits; theirs also holds heads of deep supervision, unused here."""
    dims = next(p.ndim for p in network.parameters() if p.ndim > 2) - 2
    network.zero_grad()
    logits_of(network(torch.randn(1, 1, *(64,) * dims))).sum().backward()
    return [(name, p) for name, p in network.named_parameters() if p.grad is not None]


def logits_of(output: Any) -> Tensor:
    output = getattr(output, "logits", output)
    result: Tensor = output[0] if isinstance(output, list | tuple) else output
    return result


def copy_by_order(ours: nn.Module, theirs: nn.Module) -> bool:
    """Give ours the weights of theirs, by order of use; say whether all shapes agreed.

    Theirs computes a block's shortcut before its body, ours after it; theirs concatenates the
    enlarged map and then the skip (of as many channels), ours the other way round.
    """

    def in_order(network: nn.Module) -> list[tuple[str, nn.Parameter]]:
        used: list[str] = []
        modules = {name: m for name, m in network.named_modules() if m._parameters}
        hooks = [
            module.register_forward_hook(lambda *_, name=name: used.append(name))
            for name, module in modules.items()
        ]
        dims = next(p.ndim for p in network.parameters() if p.ndim > 2) - 2
        network(torch.randn(1, 1, *(64,) * dims))
        for hook in hooks:
            hook.remove()
        blocks = [name.partition(".body")[0].partition(".shortcut")[0] for name in used]
        first = {block: blocks.index(block) for block in blocks}
        order = sorted(
            range(len(used)), key=lambda n: (first[blocks[n]], ".shortcut" not in used[n], n)
        )
        found = [(used[n], p) for n in order for p in modules[used[n]]._parameters.values()]
        return [(name, p) for name, p in found if p is not None]

    mine, other = in_order(ours), in_order(theirs)
    if [p.shape for _, p in mine] != [p.shape for _, p in other]:
        return False
    with torch.no_grad():
        for (name, a), (_, b) in zip(mine, other, strict=True):
            is_merge = name.startswith("decoder") and name.endswith("block.0.conv") and b.ndim > 2
            a.copy_(b.roll(b.shape[1] // 2, dims=1) if is_merge else b)
    return True


def step_ms(network: nn.Module, image: Tensor, *, is_bf16: bool) -> float:
    began = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=is_bf16):
        logits = logits_of(network(image))
    logits.float().square().mean().backward()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    torch.manual_seed(0)
    names = ("torch", "monai", "dynamic-network-architectures")
    print(", ".join(f"{name} {version(name)}" for name in names), end=", ")
    print(f"{torch.get_num_threads()} threads")
    print(f"{'':38}{'parameters':>24}  {'float32 ms':>16}  {'bf16 ms':>16}")
    print(f"{'':38}{'ours':>12}{'theirs':>12}  {'ours':>8}{'theirs':>8}  {'ours':>8}{'theirs':>8}")
    rows = {
        "unet_padding | MONAI BasicUNet": monai_basic,
        "unet_residual | ResidualEncoderUNet": dna_residual,
        "unet_plusplus | MONAI BasicUNet++": monai_plusplus,
    }
    for label, make in rows.items():
        for dims in (2, 3):
            ours, theirs = make(dims)
            counts = [sum(p.numel() for _, p in used_parameters(n)) for n in (ours, theirs)]
            image = torch.randn(2, 1, 256, 256) if dims == 2 else torch.randn(1, 1, 64, 64, 64)
            line = f"{label} {dims}D"
            if make is dna_residual:
                assert counts[0] == counts[1], counts
                assert copy_by_order(ours.eval(), theirs.eval()), "the same layers in one order"
                with torch.no_grad():
                    gap = (logits_of(ours(image)) - logits_of(theirs(image))).abs().max()
                assert gap < 1e-3, gap
            times = []
            for is_bf16 in (False, True):
                best = [float("inf"), float("inf")]
                for turn in range(ROUNDS):
                    for which, network in enumerate((ours.train(), theirs.train())):
                        taken = step_ms(network, image, is_bf16=is_bf16)
                        if turn:
                            best[which] = min(best[which], taken)
                times += best
            print(f"{line:38}{counts[0]:>12,}{counts[1]:>12,}", end="  ")
            print("{:8.0f}{:8.0f}  {:8.0f}{:8.0f}".format(*times), flush=True)


if __name__ == "__main__":
    main()
