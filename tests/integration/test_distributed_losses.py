"""Every loss over two real processes is the loss of one process with the whole batch.

This file is also the program of the processes: they are started once, compute every case with
gloo, and save what they found. The shares are three images and one, so that a mean of the
processes' means differs from the mean over the batch.

The convention (`ushape.losses.mixture.Mixture`): where `reduce` adds the gradients over the W
processes too, each process holds W times the gradient of its own pixels, and the average that
data-parallel training takes is the gradient of the whole. Where it hands them through, the
gradient is that of the whole, and W times the loss is what must be differentiated.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ushape.losses import TERMS, AuxiliaryOutput, Mixture, auxiliary_loss, build_loss

SHARES = (slice(0, 3), slice(3, 4))
WORLD = len(SHARES)
LIMIT_S = 60
FRACTIONS = {"binary": [0.3], "multilabel": [0.5, 0.2], "multiclass": [0.6, 0.3, 0.1]}
DATA = ("plain", "weighted", "void share")
EVERY_TERM = " + ".join(f"{number}*{name}" for number, name in enumerate(TERMS, start=1))

Found = dict[str, Any]
Reduce = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """A loss, a kind of target, and what counts: all, some pixels, none of the second share."""

    text: str
    kind: str
    data: str
    balance: str = "none"
    is_inner: bool = False

    def __str__(self) -> str:
        text = "every term" if self.text == EVERY_TERM else self.text
        place = ", inner outputs" if self.is_inner else ""
        return f"{text}, {self.kind}, {self.data}{place}"

    def loss(self) -> Mixture:
        fractions = FRACTIONS[self.kind]
        return build_loss(
            self.text,
            num_logits=len(fractions),
            class_fractions=fractions,
            target=self.kind,
            balance=self.balance,
        )


def texts_of(name: str) -> list[str]:
    """List a term as it is, with every `auto` that it takes, and by image where it can."""
    options = TERMS[name].options
    autos = [f"{key}=auto" for key, option in options.items() if "auto" in option.forms]
    by_image = [f"{name}(per_image=true)"] if "per_image" in options else []
    return [name, f"{name}({','.join(autos)})", *by_image]


SINGLE = [
    Case(text, kind, data)
    for name, term in TERMS.items()
    for kind in (["multiclass"] if term.is_exclusive else FRACTIONS)
    for text, data in itertools.product(texts_of(name), DATA)
]
MIXED = [Case(EVERY_TERM, "multiclass", data, "auto") for data in DATA]
INNER = [Case(EVERY_TERM, "multiclass", data, is_inner=True) for data in DATA]
CASES = {str(case): case for case in [*SINGLE, *MIXED, *INNER]}


def batch_of(case: Case) -> dict[str, Tensor]:
    """Make four images, the same in every process."""
    generator = torch.Generator().manual_seed(6)
    shape = (4, len(FRACTIONS[case.kind]), 6, 9)

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    batch = {"logits": 4 * random(*shape) - 2, "target": (random(*shape) > 0.6).double()}
    batch["target"][3] *= random(*shape[1:]) > 0.5
    if case.kind == "multiclass":
        classes = batch["target"].argmax(1)
        batch["target"] = nn.functional.one_hot(classes, shape[1]).movedim(-1, 1).double()
    # The shares differ: the last image has less foreground, and is answered wrongly.
    batch["logits"][3] -= 4 * batch["target"][3] - 2
    if case.data != "plain":
        batch["mask"] = random(4, 1, 6, 9) > 0.2
        batch["mask"][0, ..., :4] = False
        batch["pixel_weight"] = 3 * random(4, 1, 6, 9)
    if case.data == "void share":
        batch["mask"][SHARES[1]] = False
        batch["pixel_weight"] = 3 * random(*shape)
    return batch


def cut(batch: dict[str, Tensor], share: slice) -> dict[str, Tensor]:
    return {key: values[share] for key, values in batch.items()}


def measure(case: Case, batch: dict[str, Tensor], reduce: Reduce | None = None) -> Found:
    """Compute a loss, its gradient, and what the balance learnt."""
    loss = case.loss()
    logits = batch["logits"].clone().requires_grad_()
    others = {key: values for key, values in batch.items() if key != "logits"}
    if case.is_inner:
        value = auxiliary_loss(loss, inner_outputs(logits), **others, reduce=reduce)
    else:
        value = loss(logits, **others, reduce=reduce)
    value.total.backward()
    return {
        "total": value.total.detach(),
        "parts": dict(value.parts),
        "gradient": logits.grad,
        "balance": loss.state(),
    }


def inner_outputs(logits: Tensor) -> list[AuxiliaryOutput]:
    small = nn.functional.avg_pool2d(logits, 3)
    attention = AuxiliaryOutput(small[:, :1].sigmoid(), "attention", weight=2)
    return [AuxiliaryOutput(small), attention]


def fit(images: Tensor, batch: dict[str, Tensor], *, is_split: bool) -> list[Tensor]:
    """Differentiate a small network's parameters by a mixture of every term."""
    torch.manual_seed(8)
    network: nn.Module = nn.Conv2d(2, images.shape[1], 3, padding=1).double()
    parameters = list(network.parameters())
    network = DistributedDataParallel(network) if is_split else network
    reduce = AddBothWays.apply if is_split else None
    MIXED[1].loss()(**{**batch, "logits": network(images[:, :2])}, reduce=reduce).total.backward()
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


# In the processes


def add_over_ranks(values: Tensor) -> Tensor:
    added = values.clone()
    dist.all_reduce(added)
    return added


class AddBothWays(torch.autograd.Function):
    """The `reduce` that needs no rescaling under data-parallel training."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> Tensor:
        return add_over_ranks(sums)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return add_over_ranks(gradient)


class AddForward(AddBothWays):
    """The `reduce` that hands the gradient through."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def work(rank: int, folder: Path) -> None:
    """Compute every case on this process's share, and save what was found."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'rendezvous'}",
        rank=rank,
        world_size=WORLD,
        timeout=datetime.timedelta(seconds=LIMIT_S / 2),
    )
    found: Found = {}
    for name, case in CASES.items():
        share = cut(batch_of(case), SHARES[rank])
        found[name] = {
            "both": measure(case, share, AddBothWays.apply),
            "forward": measure(case, share, AddForward.apply),
        }
    share = cut(batch_of(MIXED[1]), SHARES[rank])
    found["network"] = fit(share["logits"], share, is_split=True)
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


# In the test


@functools.cache
def run_ranks(folder: Path) -> tuple[str, list[Found]]:
    """Run all processes once; return what failed, and what each of them found."""
    folder.mkdir()
    logs = [folder / f"{rank}.log" for rank in range(WORLD)]
    processes = [start(rank, folder, log) for rank, log in enumerate(logs)]
    try:
        codes = [process.wait(LIMIT_S) for process in processes]
    except subprocess.TimeoutExpired:
        codes = [process.poll() for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if any(codes) or None in codes:
        told = [f"rank {k}, exit {codes[k]}:\n{log.read_text()}" for k, log in enumerate(logs)]
        return "\n".join(told), []
    return "", [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]


def start(rank: int, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, str(rank), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output)


def ranks_of(tmp_path_factory: Any) -> list[Found]:
    failure, ranks = run_ranks(tmp_path_factory.getbasetemp() / "distributed_losses")
    assert not failure, failure
    return ranks


def pytest_generate_tests(metafunc: Any) -> None:
    """Parametrize by name; the processes run this file too, and do without pytest."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", CASES)


def assert_near(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-13)


def test_each_process_has_the_loss_and_gradient_of_the_whole_batch(name, tmp_path_factory):
    case = CASES[name]
    whole = measure(case, batch_of(case))
    assert whole["gradient"].abs().max() > 1e-6
    for share, rank in zip(SHARES, ranks_of(tmp_path_factory), strict=True):
        for found in rank[name].values():
            for key in ("total", "parts", "balance"):
                assert_near(found[key], whole[key])
        own = whole["gradient"][share]
        assert_near(rank[name]["both"]["gradient"], WORLD * own)
        assert_near(rank[name]["forward"]["gradient"], own)


def test_the_mean_of_the_shares_own_losses_is_another_number(name):
    """Else the test above would show nothing."""
    case = CASES[name]
    whole = measure(case, batch_of(case))["total"]
    own = [measure(case, cut(batch_of(case), share))["total"] for share in SHARES]
    assert abs(float(sum(own)) / WORLD - float(whole)) > 1e-3 * float(whole)


def test_data_parallel_parameters_have_the_gradient_of_the_whole_batch(tmp_path_factory):
    batch = batch_of(MIXED[1])
    expected = fit(batch["logits"], batch, is_split=False)
    assert len(expected) == 2
    for rank in ranks_of(tmp_path_factory):
        assert_near(rank["network"], expected)


if __name__ == "__main__":
    work(int(sys.argv[1]), Path(sys.argv[2]))
