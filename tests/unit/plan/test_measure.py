"""What is measured of a device, and when."""

from dataclasses import replace

import pytest
import torch

from ushape.device import find_device, free_memory_bytes
from ushape.plan import Request, measure_for, measure_speed
from ushape.plan import measure as module
from ushape.plan.speed import step_macs

CPU = find_device("cpu")


class Clock:
    """Stands still but where a step moves it on."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def scripted(monkeypatch):
    """Steps of given lengths instead of real ones; returns the clock and the list of steps done."""
    lengths, done, clock = [], [], Clock()

    def prepare(spec, size, batch, device):
        def step():
            done.append((spec, size, batch))
            clock.now += lengths[min(len(done) - 1, len(lengths) - 1)]

        return step

    monkeypatch.setattr(module, "_training_step", prepare)
    return lengths, done, clock


def test_the_median_counts_and_the_first_step_does_not(scripted):
    lengths, done, clock = scripted
    lengths += [100.0, 0.5, 0.25, 9.0]
    speed = measure_speed(CPU, spatial_dims=3, limit_s=5.0, clock=clock)
    assert len(done) == 4
    spec, size, batch = done[0]
    assert spec.kit.spatial_dims == 3
    voxels = size[0] * size[1] * size[2] * batch
    expected = step_macs(spec, voxels) / (0.5 * module.REST_OF_LOOP)
    assert speed.macs_per_s == pytest.approx(expected)
    assert speed.is_measured


def test_a_fast_device_is_measured_more_often_but_not_for_long(scripted):
    lengths, done, clock = scripted
    lengths += [1.0, 0.01]
    measure_speed(CPU, spatial_dims=2, limit_s=3.0, clock=clock)
    assert len(done) == 1 + module.MOST_STEPS
    done.clear()
    lengths[:] = [1.0, 1.4]
    measure_speed(CPU, spatial_dims=2, limit_s=3.0, clock=clock)
    assert len(done) == 1 + 3


@pytest.mark.parametrize("dims", [2, 3])
def test_a_real_measurement_is_positive_and_leaves_the_generator_alone(dims):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    speed = measure_speed(CPU, spatial_dims=dims, limit_s=0.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert 1e6 < speed.macs_per_s < 1e15
    assert 0 < speed.free_bytes <= CPU.memory_bytes


@pytest.mark.parametrize(
    ("request_", "is_needed"),
    [
        (Request(), True),
        (Request(budget_s=60.0), True),
        (Request(steps=10), False),
        (Request(settings={"schedule.steps": 10}), False),
        (Request(settings={"schedule.budget_s": 60.0, "schedule.steps": None}), True),
        (Request(model="vnet_3d"), True),
        (Request(settings={"model.options.width": 8}), True),
        (
            Request(
                settings={"model.name": "vnet_3d", "patch.size": (16, 16, 16), "patch.batch": 1}
            ),
            False,
        ),
    ],
)
def test_it_is_measured_only_where_the_plan_depends_on_it(scripted, request_, is_needed):
    lengths, done, _ = scripted
    lengths += [0.1]
    speed = measure_for(request_, CPU, spatial_dims=3)
    assert (speed is not None) is is_needed
    assert bool(done) is is_needed


def test_free_memory_is_no_more_than_all(monkeypatch, tmp_path):
    assert 0 < free_memory_bytes(CPU) <= CPU.memory_bytes
    small = replace(CPU, memory_bytes=1000)
    assert free_memory_bytes(small) == 1000


def test_a_container_limits_the_memory(monkeypatch, tmp_path):
    from ushape import device

    limit, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(device, "_CONTROL_GROUPS", ((str(limit), str(used)),))
    without = find_device("cpu").memory_bytes
    limit.write_text("max\n")
    used.write_text("10\n")
    assert find_device("cpu").memory_bytes == without
    limit.write_text("3000\n")
    used.write_text("1000\n")
    facts = find_device("cpu")
    assert facts.memory_bytes == 3000
    assert free_memory_bytes(facts) == 2000
    # What holds the data that were just read is free for who asks.
    stat = tmp_path / "memory.stat"
    stat.write_text("anon 300\nfile 700\nactive_file 200\ninactive_file 400\n")
    assert free_memory_bytes(facts) == 2600
    stat.write_text("active_file 1\ntotal_active_file 100\ntotal_inactive_file 400\n")
    assert free_memory_bytes(facts) == 2500
