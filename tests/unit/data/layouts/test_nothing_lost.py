"""No file goes astray: each is part of a case, or a problem names it."""

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
            name = file.name.partition(".")[0].removesuffix("_0000")
            # Also the partner of a file that is told: 'b_0000' for the label b.
            assert any(file.name in text or f"'{name}" in text for text in texts), (file, texts)
        names = [case.id for case in layout.cases]
        assert len(names) == len(set(names))
        assert len({len(case.channels) for case in layout.cases}) == 1
