"""Files of weights are read as data; nothing in them is executed."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ushape.errors import ConfigError, DataError
from ushape.nets.weight_files import find_weights

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3), "conv.bias": torch.tensor([1.5, -2.0])}
OTHER = {"conv.weight": torch.zeros(2, 3), "conv.bias": torch.zeros(2)}


def read(path: Path) -> dict[str, torch.Tensor]:
    source, state = find_weights("resnet34", str(path))
    assert source == str(path)
    return state


def assert_is_state(state: dict[str, torch.Tensor]) -> None:
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert_is_state(read(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "optimizer": {"lr": 0.1}},
        {"state_dict": OTHER, "state_dict_ema": STATE},
        {"model": {"state_dict": STATE}},
    ],
    ids=["bare", "state_dict", "model", "averaged first", "nested"],
)
def test_state_dicts_are_found(tmp_path: Path, suffix: str, content: object) -> None:
    torch.save(content, tmp_path / f"w{suffix}")
    assert_is_state(read(tmp_path / f"w{suffix}"))


class Trap:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_program_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    torch.save({"state_dict": STATE, "trap": Trap(touched)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="would have to be unpickled") as caught:
        read(tmp_path / "w.pth")
    assert not touched.exists()
    assert "save_file(state_dict, 'weights.safetensors')" in str(caught.value)
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert touched.exists(), "the trap works where nobody takes care"


def test_a_training_checkpoint_with_objects_is_refused_with_advice(tmp_path: Path) -> None:
    torch.save({"state_dict": STATE, "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="safetensors"):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.pt"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 and then nothing"])
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        read(tmp_path / name)


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(5000)}, tmp_path / "w.pth")
    save_file({"w": torch.zeros(5000)}, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {}, {"a": torch.zeros(1), "b": 2}])
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(DataError, match="holds no state dict"):
        read(tmp_path / "w.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file of weights .*absent\.pth"):
        read(tmp_path / "absent.pth")


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"\.safetensors, \.pth, \.pt, or a tag"):
        read(tmp_path / "w.bin")
