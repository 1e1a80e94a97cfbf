"""A file is the old one or the new one, never a part, and errors say what to do."""

import errno
import json
import os
import resource
from contextlib import contextmanager

import pytest

from ushape.errors import StorageError
from ushape.files import atomic_path, make_folder, write_json, write_text


@contextmanager
def largest_file(num_bytes):
    """Make the system refuse longer files, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def only(folder):
    return [entry.name for entry in folder.iterdir()]


def test_the_new_content_appears_with_the_name_only_at_the_end(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert only(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_in_the_body_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert only(tmp_path) == ["a.txt"]


def test_a_disk_that_refuses_in_the_middle_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt"), largest_file(1000):
        write_text(path, "x" * 100_000)
    assert path.read_text() == "old"
    assert only(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_a_refused_sync_names_the_file_and_the_remedy(tmp_path, monkeypatch, number, remedy):
    """Some file systems report a full disk at the sync only, after all writes went well."""

    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    path = tmp_path / "state.pt"
    path.write_text("old")
    with pytest.raises(StorageError) as caught:
        write_text(path, "new")
    assert str(path) in str(caught.value)
    assert remedy in str(caught.value)
    assert "Nothing saved before is lost" in str(caught.value)
    assert path.read_text() == "old"
    assert only(tmp_path) == ["state.pt"]


def test_the_content_is_on_the_disk_before_it_has_the_name(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(path.exists()))
    write_text(path, "new")
    assert seen == [False]


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "file").write_text("")
    for write in (lambda p: write_text(p / "a.txt", ""), lambda p: make_folder(p / "deeper")):
        with pytest.raises(StorageError, match="a file stands where a folder is needed"):
            write(tmp_path / "file")
    with pytest.raises(StorageError, match="a file stands"):
        make_folder(tmp_path / "file")


def test_a_folder_where_the_file_should_be(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*a\.txt"):
        write_text(tmp_path / "a.txt", "new")
    assert only(tmp_path) == ["a.txt"]


def test_no_permission(tmp_path, monkeypatch):
    """Tests may run as root, who is never refused; so the refusal is played."""

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(StorageError, match="no permission to write there; choose another folder"):
        write_text(tmp_path / "a.txt", "new")
    with pytest.raises(StorageError, match="no permission"):
        make_folder(tmp_path / "b")


def test_a_folder_that_is_there_is_fine(tmp_path):
    assert make_folder(tmp_path / "a" / "b") == make_folder(str(tmp_path / "a" / "b"))


def test_json_is_readable_and_strict(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"name": "é", "list": [1]})
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert "é" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "é", "list": [1]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, float("nan"))
    assert json.loads(path.read_text(encoding="utf-8"))["list"] == [1]
