"""What is found out about the device, without one."""

import pytest
import torch

from ushape.device import find_device
from ushape.errors import ConfigError


def test_the_cpu_is_described():
    facts = find_device("cpu")
    assert facts.kind == "cpu"
    assert facts.num_threads == torch.get_num_threads()
    assert facts.memory_bytes > 2**28
    assert facts.precision == ("bf16-mixed" if facts.has_fast_bf16 else "32-true")


def test_cuda_is_taken_where_it_is_and_refused_where_it_is_not(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device("auto").kind == "cpu"
    with pytest.raises(ConfigError, match="choose --device cpu"):
        find_device("cuda")


def test_an_unknown_device_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="'gpu' is not known: choose auto, cpu or cuda"):
        find_device("gpu")
