"""Find the images and labels of a data set by the names of folders and files."""

from ushape.data.io import PICTURE_SUFFIXES
from ushape.data.layouts.cases import (
    LAYOUT_KINDS,
    CaseFiles,
    ClassMask,
    Layout,
    Problem,
    Side,
    list_problems,
    natural_key,
)
from ushape.data.layouts.class_masks import find_class_folders
from ushape.data.layouts.find import find_cases
from ushape.data.layouts.images import case_name, find_images, find_inputs, join_files
from ushape.data.layouts.places import IMAGE_FOLDERS, LABEL_FOLDERS

LABEL_FILE_SUFFIXES = (*PICTURE_SUFFIXES, ".npy")
"""Labels of pictures may also be NumPy arrays: of values, or of one mask a channel."""

__all__ = [
    "IMAGE_FOLDERS",
    "LABEL_FILE_SUFFIXES",
    "LABEL_FOLDERS",
    "LAYOUT_KINDS",
    "CaseFiles",
    "ClassMask",
    "Layout",
    "Problem",
    "Side",
    "case_name",
    "find_cases",
    "find_class_folders",
    "find_images",
    "find_inputs",
    "join_files",
    "list_problems",
    "natural_key",
]
