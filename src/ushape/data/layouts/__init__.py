"""Find the images and labels of a data set by the names of folders and files. Nothing is opened."""

from ushape.data.layouts.cases import (
    CaseFiles,
    ClassMask,
    Layout,
    Problem,
    natural_key,
)
from ushape.data.layouts.folders import (
    IMAGE_FOLDERS,
    LABEL_FILE_SUFFIXES,
    LABEL_FOLDERS,
    case_name,
    find_cases,
    find_class_folders,
    find_images,
)

__all__ = [
    "IMAGE_FOLDERS",
    "LABEL_FILE_SUFFIXES",
    "LABEL_FOLDERS",
    "CaseFiles",
    "ClassMask",
    "Layout",
    "Problem",
    "case_name",
    "find_cases",
    "find_class_folders",
    "find_images",
    "natural_key",
]
