"""The resume state comes back exactly, or is refused with a remedy."""

import random
import resource
import zipfile

import pytest
import torch

from ushape.errors import DataError, StorageError
from ushape.training.checkpoint import FORMAT, TrainState, load_state, save_state

STATE = TrainState(
    step=7,
    spent_s=12.5,
    best_score=0.25,
    best_step=4,
    validations=2,
    validated_step=6,
    validation_s=1.5,
)


def trained():
    """A network and its optimiser after some steps, so that the optimiser has moments."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
    for _ in range(3):
        layer(torch.randn(4, 3)).square().sum().backward()
        optimizer.step()
    return layer, optimizer


@pytest.fixture
def path(tmp_path):
    layer, optimizer = trained()
    save_state(
        tmp_path / "state.pt",
        STATE,
        network=layer.state_dict(),
        optimizer=optimizer.state_dict(),
        average={},
    )
    return tmp_path / "state.pt"


def test_everything_comes_back(path):
    state, parts = load_state(path)
    layer, optimizer = trained()
    assert state == STATE
    assert set(parts) == {"network", "optimizer", "average"}
    assert all(torch.equal(parts["network"][k], v) for k, v in layer.state_dict().items())
    moments = optimizer.state_dict()["state"]
    for number, values in parts["optimizer"]["state"].items():
        for name, value in values.items():
            assert torch.equal(value, moments[number][name])


def test_a_state_before_the_first_validation(tmp_path):
    save_state(tmp_path / "s", TrainState())
    assert load_state(tmp_path / "s") == (TrainState(), {})


def test_the_same_state_gives_the_same_bytes(path, tmp_path):
    _, parts = load_state(path)
    for name in ("a", "b"):
        save_state(tmp_path / name, STATE, **parts)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def refused(path):
    with pytest.raises(DataError) as caught:
        load_state(path)
    assert str(path) in str(caught.value)
    assert "delete it to train from the start" in str(caught.value)
    return str(caught.value)


def test_a_truncated_file(path):
    whole = path.read_bytes()
    for keep in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:keep])
        refused(path)


def test_damaged_bytes_never_raise_anything_else(path):
    """One changed bit: refused, or (in a spare byte) read; no other exception than DataError."""
    whole, chance = path.read_bytes(), random.Random(0)
    num_refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            load_state(path)
        except DataError:
            num_refused += 1
    assert num_refused > 20


@pytest.mark.parametrize(
    "content",
    [
        torch.zeros(3),
        [1, 2],
        5,
        {},
        {"format": FORMAT},
        {"format": FORMAT, "state": 5},
        {"format": FORMAT, "state": {"stepp": 1}},
    ],
)
def test_other_content(tmp_path, content):
    torch.save(content, tmp_path / "state.pt")
    refused(tmp_path / "state.pt")


def test_another_release(tmp_path):
    torch.save({"format": FORMAT + 1, "state": {}}, tmp_path / "state.pt")
    assert "another release" in refused(tmp_path / "state.pt")


def test_reading_executes_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    torch.save({"format": FORMAT, "state": Evil()}, tmp_path / "state.pt")
    refused(tmp_path / "state.pt")
    assert not (tmp_path / "ran").exists()


def test_other_files(tmp_path):
    (tmp_path / "text").write_text("hello")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", "b")
    for name in ("text", "zip", "none", "."):
        refused(tmp_path / name)


def test_a_full_disk_keeps_the_old_state(path):
    """torch's own writer would raise a RuntimeError here that says nothing of a disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*state\.pt"):
            save_state(path, TrainState(), network={"big": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_state(path)[0] == STATE
    assert [entry.name for entry in path.parent.iterdir()] == ["state.pt"]
