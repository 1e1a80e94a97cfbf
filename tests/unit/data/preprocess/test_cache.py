"""What is kept, what is made anew, in how many threads, and what a kill leaves behind."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from ushape.config.schema import PreprocessConfig
from ushape.data.io import Grid, write_label_volume, write_volume
from ushape.data.layouts import CaseFiles
from ushape.data.preprocess import cache as store
from ushape.data.preprocess import cases as preparation
from ushape.data.preprocess import prepare_cases, read_sample
from ushape.data.preprocess.cases import image_bytes
from ushape.errors import DataError
from ushape.labels import LabelClass, LabelTable

RNG = np.random.default_rng(2)
SIZE = (6, 7, 8)
GRID = Grid.of(SIZE, (2, 1, 1))
TABLE = LabelTable((LabelClass("bg", 0), LabelClass("a", 1)))
CONFIG = PreprocessConfig(1, spacing_mm=(1, 1, 1))
CT = replace(CONFIG, normalise="ct", intensity=((0.0, 9.0, 3.0, 2.0),))


def make_case(root, name="a", size=SIZE, suffix=".nii.gz"):
    files = CaseFiles(name, root / f"{name}{suffix}", root / f"{name}-label.nii.gz")
    root.mkdir(exist_ok=True)
    grid = Grid.of(size, (2, 1, 1))
    write_volume(files.image, RNG.integers(0, 99, (1, *size)).astype(np.int16), grid)
    write_label_volume(files.label, RNG.integers(0, 2, size), grid)
    return files


def made(cases, cache, config=CONFIG, table=TABLE, **options):
    """Prepare, and say which kinds of files are new."""
    before = set(cache.iterdir()) if cache.exists() else set()
    prepare_cases(cases, table, config, cache, **options)
    new = set(cache.iterdir()) - before
    return sorted(path.name.rsplit("-", 1)[1].partition(".")[0] for path in new)


def test_a_setting_prepares_anew_what_it_changes(tmp_path):
    case, cache = make_case(tmp_path), tmp_path / "cache"
    both = ["image", "placement"]
    assert made([case], cache) == [*both, "target"]
    assert made([case], cache) == []
    intensities = [
        CT,
        replace(CT, intensity=((0.0, 9.0, 3.0, 1.0),)),
        replace(CONFIG, nonzero=True),
    ]
    for config in intensities:
        assert made([case], cache, config) == both
    # Kept beside another normalisation, the numbers of ct change nothing.
    assert made([case], cache, replace(CONFIG, intensity=CT.intensity)) == []
    assert made([case], cache, replace(CONFIG, spacing_mm=None)) == [*both, "target"]
    assert made([case], cache, replace(CONFIG, spacing_mm=(1, 1, 0.5))) == [*both, "target"]
    assert made([case], cache, align=True) == ["target"]
    assert made([case], cache, table=replace(TABLE, ignore=5)) == ["target"]
    write_label_volume(case.label, np.zeros(SIZE, int), GRID)
    assert made([case], cache) == ["target"]
    write_volume(case.image, np.ones((1, *SIZE), np.int16), GRID)
    assert made([case], cache) == both, "the label is where it was"
    moved = replace(GRID, origin_mm=(1.0, 0.0, 0.0))
    write_volume(case.image, np.ones((1, *SIZE), np.int16), moved)
    write_label_volume(case.label, np.zeros(SIZE, int), moved)
    assert made([case], cache) == [*both, "target"]
    assert made([replace(case, spacing_mm=(1.0, 2.0, 1.0))], cache) == [*both, "target"]


def test_voxels_beside_a_header_count(tmp_path):
    case = make_case(tmp_path)
    header = tmp_path / "a.mhd"
    header.write_text(
        "NDims = 3\nDimSize = 8 7 6\nElementSpacing = 1 1 2\nElementType = MET_UCHAR\n"
        "ElementDataFile = voxels.raw\n"
    )
    case, cache = replace(case, image=header), tmp_path / "cache"
    for content in (1, 2):
        (tmp_path / "voxels.raw").write_bytes(bytes([content]) * 336)
        assert "image" in made([case], cache)
        assert made([case], cache) == []


def test_every_file_of_a_folder_counts(tmp_path):
    case = replace(make_case(tmp_path), image=tmp_path / "series")
    case.image.mkdir()
    keys = set()
    for name, content in (("1.dcm", b"a"), ("2.dcm", b"b"), ("2.dcm", b"c")):
        (case.image / name).write_bytes(content)
        keys.add(store.image_key(case, CONFIG))
        assert store.image_key(case, CONFIG) in keys
    assert len(keys) == 3


def test_a_chunk_of_another_name_is_another_image(tmp_path):
    """In OME-Zarr the name of a chunk says where it lies; catches hashes of contents alone."""
    case = replace(make_case(tmp_path), image=tmp_path / "a.zarr")
    chunk = case.image / "0" / "0.0.0"
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"voxels")
    (case.image / "zarr.json").write_bytes(b"{}")
    keys = [store.image_key(case, CONFIG)]
    for name in ("1.1.0", "0.0.1", "0.0.0"):
        chunk = chunk.rename(chunk.with_name(name))
        keys.append(store.image_key(case, CONFIG))
    assert len(set(keys)) == 3
    assert keys[-1] == keys[0]
    moved = case.image.rename(tmp_path / "b.zarr")
    assert store.image_key(replace(case, image=moved), CONFIG) == keys[0], "where it lies is alike"


def test_the_key_of_a_plain_file_is_that_of_its_content(tmp_path):
    """Caches of earlier versions stay good: catches names of files in the hash."""
    case = make_case(tmp_path)
    renamed = case.image.rename(tmp_path / "other.nii.gz")
    settings = {"format": store.FORMAT, "x": 1}
    expected = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    expected.update(hashlib.sha256(renamed.read_bytes()).digest())
    assert store._key({"x": 1}, [renamed]) == expected.hexdigest()[:16]


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a"])
def test_names_that_climb_out_are_refused(tmp_path, name):
    case = replace(make_case(tmp_path / "data"), id=name)
    with pytest.raises(DataError, match=f"{name}.*leads out of"):
        prepare_cases([case], TABLE, CONFIG, tmp_path / "x" / "cache")
    assert not (tmp_path / "x").exists()


def test_names_may_have_folders_but_not_come_twice(tmp_path):
    case = replace(make_case(tmp_path), id="patient/a")
    (prepared,) = prepare_cases([case], TABLE, CONFIG, tmp_path / "cache")
    assert prepared.image_path.parent == tmp_path / "cache" / "patient"
    with pytest.raises(DataError, match=r"several cases are called patient/a"):
        prepare_cases([case, case], TABLE, CONFIG, tmp_path / "cache")


def test_a_damaged_record_is_named_with_the_remedy(tmp_path):
    case, cache = make_case(tmp_path), tmp_path / "cache"
    made([case], cache)
    (record,) = cache.glob("*-placement.json")
    for text in ("{", "{}", "[]", '{"turn": 3}'):
        record.write_text(text)
        with pytest.raises(DataError, match=rf"{record.name}: .*delete it and run again"):
            made([case], cache)


def test_progress_and_order_whatever_the_threads(tmp_path, monkeypatch):
    cases = [make_case(tmp_path, f"c{number}") for number in range(6)]
    told = []
    real = preparation.read_case_image

    def slower_first(case):
        time.sleep(0.05 if case.id == "c0" else 0)
        return real(case)

    monkeypatch.setattr(preparation, "read_case_image", slower_first)
    done = prepare_cases(
        cases,
        TABLE,
        CONFIG,
        tmp_path / "cache",
        progress=lambda *n: told.append((*n, threading.current_thread())),
    )
    assert [case.id for case in done] == [case.id for case in cases]
    assert told == [(n, 6, threading.main_thread()) for n in range(1, 7)]
    for prepared, case in zip(done, cases, strict=True):
        expected = read_sample(case, TABLE, CONFIG)
        np.testing.assert_array_equal(prepared.open().image, expected.image)
        np.testing.assert_array_equal(prepared.open().target, expected.target)


def test_an_error_keeps_what_was_done_and_stops(tmp_path):
    cases = [make_case(tmp_path, f"c{number}") for number in range(4)]
    cases[1].label.write_bytes(b"none")
    cache = tmp_path / "cache"
    with pytest.raises(DataError, match=r"c1-label\.nii\.gz"):
        prepare_cases(cases, TABLE, CONFIG, cache)
    assert not list(cache.glob(".*"))
    good = [case for case in cases if case.id != "c1"]
    assert len(prepare_cases(good, TABLE, CONFIG, cache)) == 3


def test_memory_is_asked_of_the_header(tmp_path):
    """Of two-byte voxels: as floats for percentiles, as they are, and twice as many as floats."""
    case = make_case(tmp_path, size=(6, 70, 80))
    number = 6 * 70 * 80
    assert image_bytes(case, CONFIG) == number * (2 * 4 + 4 * 2)
    assert image_bytes(case, replace(CONFIG, spacing_mm=None)) == number * (2 * 4 + 4)
    assert image_bytes(replace(case, channels=(case.image,) * 3), CONFIG) == 3 * number * 16


def test_threads_wait_for_memory(tmp_path, monkeypatch):
    cases = [make_case(tmp_path, f"c{number}") for number in range(4)]
    asked = image_bytes(cases[0], CONFIG)
    inside, most = [0], [0]
    lock = threading.Lock()
    real = preparation.read_case_image

    def watched(case):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        try:
            return real(case)
        finally:
            with lock:
                inside[0] -= 1

    monkeypatch.setattr(preparation, "read_case_image", watched)
    monkeypatch.setattr(preparation, "machine_budget", lambda: preparation.MemoryBudget(asked))
    prepare_cases(cases, TABLE, CONFIG, tmp_path / "cache")
    assert most[0] == 1


KILLED = """
import sys, time
from pathlib import Path
from ushape.data.preprocess import cases as preparation
from tests_cases import run
real = preparation.save_array
def slow(path, array):
    real(path, array)
    print(path.name, flush=True)
    time.sleep(0.1)
preparation.save_array = slow
run(Path(sys.argv[1]))
"""

RUN = """
import numpy as np
from ushape.config.schema import PreprocessConfig
from ushape.data.layouts import CaseFiles
from ushape.data.preprocess import prepare_cases
from ushape.labels import LabelClass, LabelTable
def run(root):
    cases = [
        CaseFiles(f"c{n}", root / f"c{n}.nii.gz", root / f"c{n}-label.nii.gz") for n in range(8)
    ]
    table = LabelTable((LabelClass("bg", 0), LabelClass("a", 1)))
    config = PreprocessConfig(1, spacing_mm=(1, 1, 1))
    return prepare_cases(cases, table, config, root / "cache")
"""


def test_a_killed_run_is_taken_up_where_it_was(tmp_path, monkeypatch):
    cases = [make_case(tmp_path, f"c{number}") for number in range(8)]
    (tmp_path / "tests_cases.py").write_text(RUN)
    (tmp_path / "killed.py").write_text(KILLED)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "killed.py"), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    with process:
        for _ in range(5):
            assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    cache = tmp_path / "cache"
    # What was being written has no name yet that anything would take for an array.
    left = {path: path.stat().st_mtime_ns for path in cache.glob("*.npy")}
    assert 5 <= len(left) < 16
    for path in left:
        assert np.load(path, mmap_mode="r").size
    kept = {
        path
        for path in left
        if path.with_name(_record(path.name)).exists() or "target" in path.name
    }
    done = prepare_cases(cases, TABLE, CONFIG, cache)
    assert all(path.stat().st_mtime_ns == left[path] for path in kept)
    for prepared, case in zip(done, cases, strict=True):
        expected = read_sample(case, TABLE, CONFIG)
        np.testing.assert_array_equal(prepared.open().image, expected.image)
        np.testing.assert_array_equal(prepared.open().target, expected.target)
    assert len(list(cache.glob("*.npy"))) == 16


def test_half_arrays_of_a_killed_run_are_swept_up_once_they_are_old(tmp_path):
    case, cache = make_case(tmp_path), tmp_path / "cache"
    (prepared,) = prepare_cases([case], TABLE, CONFIG, cache)
    prepared.image_path.unlink()
    old, new, other = (
        cache / f".{name}.part"
        for name in (f"{prepared.image_path.name}.1a", f"{prepared.image_path.name}.2b", "x.npy.3c")
    )
    for part in (old, new, other):
        part.write_bytes(b"half")
        if part is not new:
            os.utime(part, (time.time() - 3600,) * 2)
    prepare_cases([case], TABLE, CONFIG, cache)
    assert [part.exists() for part in (old, new, other)] == [False, True, True]


def _record(name):
    return name.replace("-image.npy", "-placement.json")
