"""No file goes astray: each is part of a case, or a problem names it."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ushape.data.layouts import find_cases
from ushape.errors import DataError

STEMS = st.sampled_from(["a", "b", "b_0000", "b_0001", "c_0000", "c_0002", "a_mask", "2", "10"])
ENDINGS = st.sampled_from([".png", ".nii.gz", ".NRRD", ".npy"])
FILES = st.lists(st.tuples(STEMS, ENDINGS), unique=True, max_size=7)


def told(problem):
    return f"{problem.path} {problem.message}"


@pytest.mark.parametrize("folders", [("images", "labels"), ("imagesTr", "labelsTr")])
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.differing_executors])
@given(images=FILES, labels=FILES)
def test_every_file_is_used_or_told(folders, images, labels):
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        files = []
        for folder, names in zip(folders, (images, labels), strict=True):
            (root / folder).mkdir()
            for stem, ending in names:
                files.append(root / folder / f"{stem}{ending}")
                files[-1].touch()
        try:
            layout = find_cases(root)
        except DataError:
            return
        used = [path for case in layout.cases for path in (*case.image_paths, *case.label_paths)]
        assert len(used) == len(set(used))
        texts = [told(problem) for problem in layout.problems]
        for file in set(files) - set(used):
            # Also by its case: 'b_0000' for the label b, 'b' for a further channel b_0001.
            name = re.sub(r"_\d{4}$", "", file.name.partition(".")[0])
            assert any(file.name in text or f"'{name}" in text for text in texts), (file, texts)
        names = [case.id for case in layout.cases]
        assert len(names) == len(set(names))
        assert len({len(case.channels) for case in layout.cases}) == 1


CELLS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["a.nii", "b.nii", "../a.nii", "train", "3x1x1", "image", "label", "id", "7"]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), CELLS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(CELLS, inner, max_size=3)),
    max_leaves=8,
)
CASES = st.lists(
    st.dictionaries(
        st.sampled_from(["image", "label", "id", "group", "split", "slice", "spacing_mm", "x"]),
        VALUES,
        max_size=5,
    ),
    max_size=3,
)


@settings(deadline=None, max_examples=150)
@given(
    text=st.one_of(
        st.text(max_size=60),
        st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=4).map("\n".join),
        st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=3).map(
            lambda lines: "\n".join(["image,label,id,split", *lines])
        ),
        VALUES.map(json.dumps),
        CASES.map(json.dumps),
        CASES.map(lambda cases: json.dumps({"cases": cases, "labels": {"a": 0}})),
    ),
    ending=st.sampled_from([".csv", ".json"]),
)
def test_a_damaged_manifest_is_refused_or_told(text, ending):
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for name in ("a.nii", "b.nii"):
            (root / name).touch()
        (root / f"manifest{ending}").write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            layout = find_cases(root)
        except DataError:
            return
        assert {path.parent for case in layout.cases for path in case.image_paths} == {root}
