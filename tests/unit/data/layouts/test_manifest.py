"""Tables that name the files of every case: what is read, and what is said of a wrong line."""

import pytest

from ushape.data.layouts import find_cases
from ushape.errors import DataError

from .conftest import relative

FILES = ("a.nii", "b.nii", "c.nii", "d.nii", "x/ct.nii", "y/ct.nii", "x/seg.nii", "y/seg.nii")
HEAD = "image,label,id\n"


def read(make, text, name="manifest__csv", files=FILES):
    return find_cases(make(*files, **{name: text}))


def messages(layout):
    return [problem.message for problem in layout.problems]


@pytest.mark.parametrize("name", ["manifest__csv", "manifest__tsv", "dataset__csv"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table(make, name, delimiter):
    text = (
        "\ufeffImage,LABEL,id,Subject,split,spacing_mm,sampling_weight\n"
        "a.nii,b.nii,two,p1,train,3x1x1,2.5\n\n"
        "c.nii,d.nii,one,p2,validation,,\n"
    ).replace(",", delimiter)
    layout = read(make, text, name)
    assert layout.kind == "manifest"
    assert relative(layout) == [("one", "c.nii", "d.nii"), ("two", "a.nii", "b.nii")]
    assert [case.group for case in layout.cases] == ["p2", "p1"]
    assert [case.spacing_mm for case in layout.cases] == [None, (3.0, 1.0, 1.0)]
    assert [case.sampling_weight for case in layout.cases] == [1, 2.5]
    assert dict(layout.split) == {"two": "train", "one": "val"}
    assert layout.problems == ()


def test_it_comes_before_folders_and_may_be_given_itself(make):
    root = make("images/a.png", "labels/a.png", "b.png", "c.png")
    (root / "other.csv").write_text("image,label\nb.png,c.png\n")
    assert find_cases(root).kind == "folders"
    layout = find_cases(root / "other.csv")
    assert relative(layout) == [("b", "b.png", "c.png")]
    assert layout.root == root / "other.csv"
    (root / "other.csv").rename(root / "manifest.csv")
    assert find_cases(root).kind == "manifest"
    assert find_cases(root).root == root
    assert find_cases(root, kind="folders").kind == "folders"


def test_another_table_called_dataset_is_no_manifest(make):
    root = make("images/a.png", "labels/a.png", dataset__csv="name,age\na,7\n")
    assert find_cases(root).kind == "folders"


def test_two_manifests_are_refused(make):
    with pytest.raises(DataError, match=r"manifest\.csv and manifest\.json: give the one"):
        find_cases(make(manifest__csv=HEAD, manifest__json="[]"))


def test_channels_and_masks_keep_their_names(make):
    text = "image_T1,image_T2,label_Disc,label_rare\na.nii,b.nii,c.nii,d.nii\n"
    layout = read(make, text)
    (case,) = layout.cases
    assert layout.channel_names == ("T1", "T2")
    assert [path.name for path in case.channels] == ["a.nii", "b.nii"]
    assert [(m.name, m.path.name) for m in case.masks] == [("Disc", "c.nii"), ("rare", "d.nii")]


def test_json(make):
    text = """{"labels": {"background": 0, "disc": 1}, "channel_names": {"0": "CT", "1": "PET"},
      "cases": [
        {"image": ["a.nii", "b.nii"], "label": {"disc": "c.nii"}, "id": 7, "spacing_mm": [3, 1, 1]},
        {"image": {"0": "x/ct.nii", "1": "y/ct.nii"}, "label": {"disc": "d.nii"}, "group": "p"}]}"""
    layout = read(make, text, "manifest__json")
    assert layout.channel_names == ("CT", "PET")
    assert layout.wish.names == {"background": 0, "disc": 1}
    first, second = layout.cases
    assert (first.id, first.spacing_mm, first.group) == ("7", (3.0, 1.0, 1.0), None)
    assert [path.name for path in first.channels] == ["a.nii", "b.nii"]
    assert (second.group, second.masks[0].name) == ("p", "disc")


def test_ids_are_made_of_names(make):
    text = "image,label\nx/ct.nii,x/seg.nii\ny/ct.nii,y/seg.nii\n"
    assert [case.id for case in read(make, text).cases] == ["x", "y"]
    make("y/b.nii")
    text = "image,label\nx/ct.nii,x/seg.nii\ny/ct.nii,y/seg.nii\ny/b.nii,c.nii"
    assert [case.id for case in read(make, text).cases] == ["x_ct", "y_b", "y_ct"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("../a.nii,b.nii,k", "line 3: the name '../a.nii' leads out of"),
        ("x/../../a.nii,b.nii,k", "leads out of"),
        ("/etc/a.nii,b.nii,k", "leads out of"),
        ("C:\\a.nii,b.nii,k", "leads out of"),
        ("c.nii,..\\b.nii,k", "leads out of"),
        ("absent.nii,b.nii,k", "line 3: there is no image absent.nii; names are relative to"),
        ("c.nii,absent.nii,k", "line 3: there is no label absent.nii"),
        (",b.nii,k", "line 3: no image is named"),
        ("c.nii,,k", "line 3: no label is named"),
        ("a.nii,b.nii,k", "line 3: a.nii is the image of line 2 already"),
        ("./a.nii,b.nii,k", "line 3: a.nii is the image of line 2 already"),
        ("manifest.csv,b.nii,k", "the image manifest.csv is in no known format"),
        ("c.nii,d.nii,p/q", "line 3: the id 'p/q' cannot be the name of a file"),
        ("c.nii,d.nii,..", "cannot be the name"),
        ("c.nii,d.nii,a\x1bb", "cannot be the name"),
    ],
)
def test_a_wrong_line_is_left_out_with_its_number(make, line, why):
    layout = read(make, f"{HEAD}a.nii,b.nii,first\n{line}\n")
    assert [case.id for case in layout.cases] == ["first"]
    (message,) = messages(layout)
    assert why in message
    assert layout.problems[0].severity == "error"
    assert layout.problems[0].path.name == "manifest.csv"


def test_names_with_either_slash(make):
    assert relative(read(make, f"{HEAD}x\\ct.nii,x\\seg.nii,k\n")) == [
        ("k", "x/ct.nii", "x/seg.nii")
    ]


def test_an_id_twice_leaves_both_out(make):
    layout = read(make, f"{HEAD}a.nii,b.nii,k\nc.nii,d.nii,k\nx/ct.nii,x/seg.nii,j\n")
    assert [case.id for case in layout.cases] == ["j"]
    assert [text.partition(":")[0] for text in messages(layout)] == ["line 2", "line 3"]
    assert "stands 2 times, first in line 2" in messages(layout)[1]


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("split", "trian", "unknown split 'trian': did you mean 'train'?"),
        ("spacing_mm", "3x1x1pm", "unknown unit 'pm'"),
        ("slice", "third", "the slice 'third' is no whole number"),
        ("sampling_weight", "0", "the sampling_weight '0' is no number above 0"),
        ("sampling_weight", "inf", "the sampling_weight 'inf' is no number above 0"),
        ("sampling_weight", "twice", "the sampling_weight 'twice' is no number above 0"),
    ],
)
def test_wrong_values(make, column, value, why):
    layout = read(make, f"image,label,{column}\na.nii,b.nii,\nc.nii,d.nii,{value}\n")
    (message,) = messages(layout)
    assert message.startswith("line 3: ")
    assert why in message


def test_cases_for_later_and_columns_of_no_meaning_are_told(make):
    layout = read(make, "image,label,split,age\na.nii,b.nii,train,7\nc.nii,d.nii,test,8\n")
    assert [case.id for case in layout.cases] == ["a"]
    assert [problem.severity for problem in layout.problems] == ["warning", "warning"]
    assert messages(layout) == [
        "columns not used: age",
        "line 3: rows with split test are not used",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", r"no column names images \(found: nothing\)"),
        ("imge,label\n", "is 'imge' the one"),
        ("image,image,label\n", "'image' stands twice"),
        ("image,image_t1,label\n", "give image, or image_NAME"),
        ("image,label,label_a\n", "give label, or label_NAME"),
        ("image,label,group,patient\n", "mean the same"),
        ("image,label\na.nii,b.nii,c.nii\n", "line 2: 3 cells for 2 columns"),
        ("image,label\n", "no row is of use"),
        ("image\na.nii\n", "no column names labels"),
    ],
)
def test_a_wrong_table(make, text, why):
    with pytest.raises(DataError, match=why):
        read(make, text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is no JSON .*line 1"),
        ('{"images": []}', "it is no manifest"),
        ("[1]", "it is no manifest"),
        ('[{"image": "a.nii", "label": "b.nii", "group": ["p"], "id": {"a": 1}}]', "case 1: 'id'"),
        ('{"labels": {"a": 1}, "cases": [{"image": "a.nii", "label": "b.nii"}]}', "value 0"),
    ],
)
def test_wrong_json(make, text, why):
    with pytest.raises(DataError, match=why):
        read(make, text, "manifest__json")


def test_a_case_with_other_channels(make):
    text = '[{"image": ["a.nii", "b.nii"], "label": "c.nii"}, {"image": "d.nii", "label": "c.nii"}]'
    layout = read(make, text, "manifest__json")
    assert [case.id for case in layout.cases] == ["a"]
    assert (
        "case 2: its channels are one without a name; those of other cases are 0, 1"
        in messages(layout)[0]
    )


def test_text_that_is_none(make):
    root = make()
    (root / "manifest.csv").write_bytes(b"image,label\n\xff\xfe.nii,b.nii\n")
    with pytest.raises(DataError, match="no UTF-8 text"):
        find_cases(root)
    (root / "table.xlsx").touch()
    with pytest.raises(DataError, match=r"this is a file; give the folder .* \.csv or \.json"):
        find_cases(root / "table.xlsx")
