"""What the device that computes can do."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from ushape.errors import ConfigError


@dataclass(frozen=True)
class DeviceFacts:
    """The device as the planner sees it.

    Attributes:
        kind: `cpu` or `cuda`.
        name: The maker's name, for reports.
        num_threads: CPU threads that torch uses.
        memory_bytes: Memory of the device.
        has_fast_bf16: bfloat16 arithmetic in hardware.
    """

    kind: str
    name: str
    num_threads: int
    memory_bytes: int
    has_fast_bf16: bool

    @property
    def precision(self) -> str:
        """The precision to compute in, in Lightning Fabric's words."""
        return "bf16-mixed" if self.has_fast_bf16 else "32-true"


def find_device(name: str = "auto") -> DeviceFacts:
    """Describe the device that will compute.

    Args:
        name: `auto` (CUDA where there is one), `cpu` or `cuda`.

    Raises:
        ConfigError: Another name, or CUDA is asked for and there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device {name!r} is not known: choose auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device is available: choose --device cpu")
    if name != "cpu" and torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        return DeviceFacts(
            "cuda",
            facts.name,
            torch.get_num_threads(),
            int(facts.total_memory),
            torch.cuda.is_bf16_supported(including_emulation=False),
        )
    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    title = str(abilities.get("cpu_name") or "CPU").strip()
    return DeviceFacts("cpu", title, torch.get_num_threads(), memory, fast)
