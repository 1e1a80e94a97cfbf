"""Files that are damaged, of another kind, or made to do harm: one clear line, no memory taken."""

import io
import json
import tracemalloc
import zipfile
from contextlib import suppress

import h5py
import numpy as np
import pytest
from hand_made import functional, write_archive, write_new, write_old

from ushape.errors import DataError
from ushape.weights import convert_weights


def refusal(path, network):
    with pytest.raises(DataError) as error:
        convert_weights(path, network)
    text = str(error.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_a_missing_file(tmp_path, network):
    assert "no such file" in refusal(tmp_path / "m.h5", network)


def test_a_folder(tmp_path, network):
    refusal(tmp_path, network)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04\x95pickle", b"\x89HDF"])
def test_files_of_another_kind(content, tmp_path, network):
    (tmp_path / "m.h5").write_bytes(content)
    assert "neither HDF5 nor a .keras archive" in refusal(tmp_path / "m.h5", network)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("form", ["old", "new", "archive"])
def test_cut_short(share, form, tmp_path, rows, network):
    path = tmp_path / "m"
    if form == "old":
        write_old(path, rows)
    elif form == "new":
        write_new(path, rows)
    else:
        write_archive(path, rows, functional(rows))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "damaged" in refusal(path, network)


def test_bytes_changed_anywhere_give_a_clear_error_or_numbers(tmp_path, rows, network):
    path = write_old(tmp_path / "m.h5", rows)
    whole = path.read_bytes()
    chance = np.random.default_rng(0)
    for _ in range(30):
        broken = bytearray(whole)
        for place in chance.integers(8, len(whole), 20):
            broken[place] = chance.integers(256)
        path.write_bytes(bytes(broken))
        with suppress(DataError):  # anything else is a failure
            convert_weights(path, network)


def test_a_huge_claimed_shape_allocates_nothing(tmp_path, rows, network):
    path = write_new(tmp_path / "m.weights.h5", rows)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/0"]
        shape = (3, 3, 1_000_000, 1_000_000)
        file.create_dataset("layers/conv2d/vars/0", shape, "f4", chunks=(3, 3, 1, 1))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    assert "3x3x1000000x1000000" in refusal(path, network)
    assert tracemalloc.get_traced_memory()[1] < 1 << 26
    tracemalloc.stop()


def test_a_huge_chunk_is_refused(tmp_path, rows, network):
    path = write_new(tmp_path / "m.weights.h5", rows)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/1"]
        file.create_dataset(
            "layers/conv2d/vars/1", (2,), "f4", chunks=(2**28,), maxshape=(None,), compression=9
        )
    assert "claims pieces" in refusal(path, network)


def test_a_zip_bomb_is_not_unpacked(tmp_path, network):
    path = tmp_path / "m.keras"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.weights.h5", "w") as member,
    ):
        for _ in range(80):
            member.write(bytes(1 << 20))
    assert "holds 80 MiB of weights" in refusal(path, network)


def test_an_archive_without_weights(tmp_path, network):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    assert "without model.weights.h5" in refusal(path, network)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', json.dumps({"class_name": "Sequential"})])
def test_an_odd_configuration_is_an_error_or_none_at_all(text, tmp_path, rows, network):
    inside = io.BytesIO()
    write_new(inside, rows)
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)
        archive.writestr("model.weights.h5", inside.getvalue())
    if text in ("", "{"):
        assert "damaged" in refusal(path, network)
    else:
        assert convert_weights(path, network).matches


def test_links_to_other_files_and_circles_are_not_followed(tmp_path, rows, network):
    other = write_new(tmp_path / "other.h5", rows)
    path = write_new(tmp_path / "m.weights.h5", rows)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = h5py.ExternalLink(str(other), "layers/conv2d/vars/0")
    assert "is a link" in refusal(path, network)
    with h5py.File(path, "r+") as file:
        file["layers/again"] = file["layers"]
    assert "too deep" in refusal(path, network) or "is a link" in refusal(path, network)


def test_a_circle_ends(tmp_path, network):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("layers")
        for name in "ab":
            group[name] = group
    assert "not a file of weights" in refusal(path, network)


def test_arrays_kept_in_another_file_are_refused(tmp_path, rows, network):
    path = write_new(tmp_path / "m.weights.h5", rows)
    (tmp_path / "secret").write_bytes(bytes(8))
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/1"]
        file.create_dataset(
            "layers/conv2d/vars/1", (2,), "f4", external=[(str(tmp_path / "secret"), 0, 8)]
        )
    assert "in another file" in refusal(path, network)


def test_whole_numbers_are_no_weights(tmp_path, rows, network):
    path = write_new(tmp_path / "m.weights.h5", rows)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/1"]
        file["layers/conv2d/vars/1"] = np.ones(2, np.int8)
    assert "quantised" in refusal(path, network)


def test_an_hdf5_file_of_something_else(tmp_path, network):
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file["image"] = np.zeros((4, 4))
    assert "no layer with weights" in refusal(path, network)
