"""What the device that computes can do."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from ushape.errors import ConfigError

_CONTROL_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""Where containers are told their limit and their use of memory (control groups 2 and 1)."""


@dataclass(frozen=True)
class DeviceFacts:
    """The device as the planner sees it.

    Attributes:
        kind: `cpu` or `cuda`.
        name: The maker's name, for reports.
        num_threads: CPU threads that torch uses.
        memory_bytes: Memory of the device; on a CPU no more than a container may use.
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
    limit = _container_memory()
    memory = memory if limit is None else min(memory, limit[0])
    title = str(abilities.get("cpu_name") or "CPU").strip()
    return DeviceFacts("cpu", title, torch.get_num_threads(), memory, fast)


def free_memory_bytes(device: DeviceFacts) -> int:
    """Tell how much of a device's memory is free now, at most all of it."""
    if device.kind == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = [device.memory_bytes]
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:  # not Linux
        text = ""
    found = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    if found:
        free.append(int(found[1]) * 1024)
    limit = _container_memory()
    if limit is not None:
        free.append(max(limit[0] - limit[1], 0))
    return min(free)


def _container_memory() -> tuple[int, int] | None:
    """Return the limit of this container's memory and what is used of it, if there is a limit."""
    for limit_file, used_file in _CONTROL_GROUPS:
        try:
            limit, used = (
                Path(file).read_text("ascii").strip() for file in (limit_file, used_file)
            )
        except OSError:
            continue
        if not (limit.isdecimal() and used.isdecimal()):
            return None
        return int(limit), max(int(used) - _cached_bytes(Path(used_file)), 0)
    return None


def _cached_bytes(used_file: Path) -> int:
    """Return how much of what is used holds files that were read: it is given back on demand."""
    try:
        text = used_file.with_name("memory.stat").read_text("ascii")
    except OSError:
        return 0
    found = dict(re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE))
    total = "total_" if "total_inactive_file" in found else ""  # control groups 1 have both
    return sum(int(found.get(f"{total}{kind}_file", 0)) for kind in ("inactive", "active"))


def channels_last(spatial_dims: int) -> torch.memory_format:
    """Give the memory order with the channels of a pixel, or voxel, side by side."""
    return torch.channels_last if spatial_dims == 2 else torch.channels_last_3d
