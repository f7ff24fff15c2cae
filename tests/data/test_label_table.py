"""Look-up tables (rows 23, 24, 27, 30)."""

from dataclasses import replace

import numpy as np
import pytest

from synthtf.data.label_table import LabelTable, count_labels
from synthtf.data.tissues import structure_table, wholes

TSV = """id\tname\tside\tpartner\toutput\ttissue\tbrain
0\tbackground\tnone\t-\t0\tbackground\tno
2\tleft white matter\tleft\t41\t2\tWM\tyes
24\tCSF\tnone\t-\t24\tCSF\tcsf
25\tleft lesion\tleft\t57\t2\tWM\tyes
30\tleft vessel\tleft\t62\t0\tvessel\tyes
41\tright white matter\tright\t2\t41\tWM\tyes
57\tright lesion\tright\t25\t41\tWM\tyes
62\tright vessel\tright\t30\t0\tvessel\tyes
502\tskin\tnone\t-\t0\toutside\tno
"""
LUT = """#$Id: FreeSurferColorLUT.txt
#No. Label Name:                            R   G   B   A

0   Unknown                                 0   0   0   0
10  Left-Thalamus                           0   118 14  0
16  Brain-Stem                              119 159 176 0   # a comment
49  Right-Thalamus                          0   118 14  0
1000    ctx-lh-unknown                      25  5   25  0
1100    ctx-lh-Unknown                      0   0   0   0
2000    ctx-rh-unknown                      25  5   25  0
2100    ctx-rh-Unknown                      0   0   0   0
3001    wm_lh_insula                        5   5   5   0
4001    wm_rh_insula                        5   5   5   0
5001    Left-UnsegmentedWhiteMatter         20  30  40  0
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def table(tmp_path):
    return LabelTable.read(write(tmp_path / "labels.tsv", TSV))


def test_tsv_columns(table, tmp_path):
    assert table.ids == (0, 2, 24, 25, 30, 41, 57, 62, 502)
    assert table.mapping[57] == 41 and table.mapping[502] == 0
    assert table.output_labels == (0, 2, 24, 41)
    assert table.pairs == ((2, 41), (25, 57), (30, 62))
    assert table.output_pairs == ((2, 41),)
    assert table.brain_labels == (2, 25, 30, 41, 57, 62)
    assert table.group_ids["WM"] == (2, 25, 41, 57)
    assert table.name(24) == "CSF"
    with pytest.raises(ValueError, match="label 7 is not in the table"):
        table.name(7)
    table.write(tmp_path / "again.tsv")
    assert LabelTable.read(tmp_path / "again.tsv") == table
    assert (tmp_path / "again.tsv").read_text() == TSV


def test_lut_partners_follow_from_names(tmp_path):
    table = LabelTable.read(write(tmp_path / "lut.txt", LUT))
    partner = dict(zip(table.ids, table.partners, strict=True))
    assert (partner[10], partner[49], partner[16]) == (49, 10, None)
    assert (partner[1000], partner[1100], partner[4001]) == (2000, 2100, 3001)
    assert table.group_ids["Thalamus"] == (10, 49)
    assert table.outputs == table.ids
    # 5001 has no right partner, which matters only for flips.
    assert table.one_sided == (5001,) and (10, 49) in table.pairs
    with pytest.raises(ValueError, match=r"label 5001 \(Left-Unseg.*\) has no right partner"):
        _ = table.flip_pairs
    chosen = table.select([10, 49, 2000, 1000])
    assert chosen.ids == (0, 10, 49, 1000, 2000)
    assert chosen.pairs == ((10, 49), (1000, 2000))
    assert table.select([49]) == table.select([10, 49])


def test_select_keeps_what_labels_count_as_and_partners(table):
    """A flip turns a lesion of the right white matter into one of the left."""
    assert set(table.select([57]).ids) == {0, 2, 25, 41, 57}
    with pytest.raises(ValueError, match="label 3 is not in the table"):
        table.select([3])


def test_tsv_with_the_required_columns_alone(tmp_path):
    text = "name\tid\nleft x\t1\nright x\t2\nmiddle\t3\n"
    table = LabelTable.read(write(tmp_path / "t.tsv", text))
    assert table.ids == (0, 1, 2, 3) and table.names[0] == "background"
    assert table.pairs == ((1, 2),)
    assert table.output_labels == (0, 1, 2, 3) and table.brain_labels == (1, 2, 3)


def test_side_column_counts_where_the_name_says_nothing(tmp_path):
    text = "id\tname\tside\tpartner\n1\tA\tright\t2\n2\tB\tleft\t1\n3\tC\tleft\t-\n"
    table = LabelTable.read(write(tmp_path / "t.tsv", text))
    assert table.select([1, 2]).flip_pairs == table.pairs == ((2, 1),)
    with pytest.raises(ValueError, match=r"label 3 \(C\) has no right partner"):
        _ = table.flip_pairs


def test_from_labels():
    table = LabelTable.from_labels(np.array([7, 3, 0, 7]))
    assert table.ids == (0, 3, 7)
    assert table.pairs == () and table.output_labels == (0, 3, 7)
    assert len(table.group_ids) == 3
    with pytest.raises(ValueError, match=r"\[0, 2\^31\). Received: -1"):
        LabelTable.from_labels([-1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("24\tCSF", "x\tCSF", r"line 4: labels must be whole numbers. Received: 'x'"),
        ("24\tCSF", "-4\tCSF", r"line 4: labels must lie in .* -4"),
        ("24\tCSF", "2\tCSF", r"line 4: label 2 is listed twice \(first in line 3\)"),
        ("24\tCSF\t", "24\t", r"line 4: .* must have 7 tab-separated columns. Received: 6"),
        ("24\tCSF\t", "24\t-\t", r"line 4: `id` and `name` must not be empty"),
        ("CSF\tcsf", "CSF\tmaybe", r"line 4: `brain` must be one of"),
        ("CSF\tnone", "CSF\tup", r"line 4: `side` must be one of"),
        ("left\t57\t2", "left\t58\t2", r"label 25 has the partner 58, which is not listed"),
        ("left\t57\t2", "left\t62\t2", r"label 25 has the partner 62, whose partner is 30"),
        ("left\t57\t2", "left\t25\t2", r"label 25 has the partner 25.*must be mutual"),
        ("left\t57\t2", "left\t57\t9", r"label 25 counts as 9, which is not listed"),
        ("id\tname", "id\twhat", r"line 1: .* must name the columns, such as id and name"),
        ("id\tname\tside", "id\tname\tName", r"line 1: two columns are called 'name'"),
        ("24\tCSF", "2_4\tCSF", r"line 4: labels must be whole numbers. Received: '2_4'"),
        ("24\tCSF", '24\t"CSF', r"line 4: quotes do not match"),
        ("24\tCSF", '24\t"CSF\n30\tx"', r"line 4: a cell goes over several lines"),
        ("24\tCSF", "24\tCSF\tmore", r"line 4: .* must have 7 tab-separated columns. Received: 8"),
    ],
)
def test_malformed_tsv_names_file_and_line(tmp_path, old, new, message):
    path = write(tmp_path / "bad.tsv", TSV.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"bad\.tsv.*{message}"):
        LabelTable.read(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0   118 14  0", "0   118", r"line 5: the line must be `id name R G B A`"),
        ("10  Left", "ten Left", r"line 5: labels must be whole numbers. Received: 'ten'"),
        ("49  Right", "16  Right", r"line 7: label 16 is listed twice \(first in line 6\)"),
        ("119 159", "red 159", r"line 6: the line must be `id name R G B A`"),
    ],
)
def test_malformed_lut_names_file_and_line(tmp_path, old, new, message):
    path = write(tmp_path / "bad.txt", LUT.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"bad\.txt, {message}"):
        LabelTable.read(path)


PAIR = ((2, 41),)
FORMATS = {
    "FreeSurfer 8: seven columns": "#No. Label Name: R G B A\n0 Unknown 0 0 0 0\n"
    "2 Left-WM 245 245 245 0 2\n41 Right-WM 0 225 0 0 2\n",
    "remarks after the colours": '0 Unknown 0 0 0\n2 Left-WM 245 245 245 0 white, "inner" matter\n'
    "41 Right-WM 0 225 0 # the same\n",
    "FastSurfer": "ID\tLabelName\tR\tG\tB\tA\n0\tBackground\t0\t0\t0\t0\n"
    "2\tLeft-WM\t245\t245\t245\t0\n41\tRight-WM\t245\t245\t245\t0\n",
    "FastSurfer's cerebellum": "# Cerebellar parcellation labels\nID\tLabelName           \tR\tG\n"
    "0\tUnknown             \t0\t0\n2\tLeft_I_IV           \t70\t130\n41\tRight_I_IV\t1\t2",
    "BIDS": "index\tname\tabbreviation\tmapping\tcolor\n2\tLeft WM\tLWM\t2\t#ff0000\n"
    "41\tRight WM\tn/a\tn/a\t#ff0000\n",
    "BIDS with sides": "name\themi\tindex\nWM\tL\t2\nWM\tR\t41\nstem\tB\t5\nbase\tn/a\t6\n",
    "Slicer's .ctbl": "# Color table file x.ctbl\n# 3 values\n0 Background 0 0 0 0\n"
    "2 left_WM 128 174 128 255\n41 right_WM 128 174 128 255\n",
    "Slicer's .csv": "LabelValue,Name,Color_R,Color_G\n2,left WM,1,2\n41,right WM,1,2\n",
    "ITK-SNAP": '    0     0    0    0        0  0  0    "Clear Label"\n'
    '    2   255    0    0        1  1  1    "Left WM, all"\n'
    '   41     0  255    0      0.5  1  1    "Right WM, all"\n',
    "a spreadsheet's semicolons": 'Label;Region\n2;"WM; left"\n41;"WM; right"\n',
    "a spreadsheet's quotes": 'id\tname\n2\t"Left wm, cerebral"\n41\t"Right wm, cerebral"\n',
    "R's quotes": '"id"\t"name"\n"2"\t"Left-WM"\n"41"\t"Right-WM"\n',
    "blanks after commas": 'id, name\n2, "Left WM, a"\n41, "Right WM, a"\n',
    "pandas": ",name,value,partner\n0,x y,2,41.0\n1,z,41,2.0\n2,CSF,24,\n",
    "a header in a remark": "#id,name\n2,Left WM\n41,Right WM\n",
    "a header with blanks": 'No. Name  R G\n2 Left-WM 1 2\n41  "Right-WM" 3 4\n',
    "a remark about columns": "# id, name, and what else there is\n2 Left-WM\n41 Right-WM\n",
    "no header": "2,Left WM\n41,Right WM\n",
    "tabs without a header": "2\tLeft WM\n41\tRight WM\n",
    "tabs between FreeSurfer's columns": "2\tLeft-WM\t\t1 2 3\t0\n41\tRight-WM\t1 2 3\t0\n",
    "FSL": "<?xml version='1.0'?><atlas><header><name>A</name><type>Probabalistic</type>"
    "</header><data>\n<label index='1' x='1' y='2' z='3'>Left WM</label>\n"
    "<label index='40' x='1' y='2' z='3'>Right WM</label></data></atlas>",
    "FSL's labels": "<atlas><header><type>Label</type></header><data><label index='2'>WM L</label>"
    "<label index='41'>WM R</label></data></atlas>",
}


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS)
def test_tables_of_other_packages(tmp_path, text):
    path = tmp_path / "t.txt"
    marked = text.replace("\n", "\r\n").encode("utf-8-sig")
    for content in (
        text.encode(),
        marked,
        text.replace("\n", "\r").encode(),
        text.encode("utf-16"),
    ):
        path.write_bytes(content)
        table = LabelTable.read(path)
        assert table.pairs == PAIR and not any('"' in name for name in table.names)
    table.write(tmp_path / "again.tsv")
    assert LabelTable.read(tmp_path / "again.tsv") == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index\tname\n1\ta\nx\tb\n", "line 3: labels must be whole numbers. Received: 'x'"),
        ("index\tname\n1.5\ta\n", "line 2: labels must be whole numbers"),
        ("index,value,name\n0,2,a\n1,41,b\n", "line 2: the columns 'index' and 'value' both"),
        ("# x\n1 a 1 2 3\n2 b c 1 2 3\n", "line 3: the line must be `id name R G B A`"),
        ("what,else\n1,a\n", "line 1: the line must be .* first line must name the columns"),
        ("1,a\n2,\n", "line 2: the line must be"),
        ('{"labels": {"a": 1}}', "line 1: the line must be"),
        ('1 a\n2 "b\n', "line 2: quotes do not match"),
        ('id,name\n1,"a\n2,b\n', r", line 2: quotes do not match \(unexpected end of data\)$"),
        ("<html></html>", "must be an atlas of FSL"),
        ("<atlas><header></header></atlas>", "must be an atlas of FSL, of the type"),
        ("<atlas>\n<x>\n</atlas>", "line 3: not XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><atlas>&b;</atlas>", "no document type"),
        ("<atlas><header><type>Label</type></header></atlas>", "lists no labels"),
        (
            "<atlas><header><type>Label</type></header><data><label>a</label></data></atlas>",
            "label 1: labels must be whole numbers. Received: ''",
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_by_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"t\.txt.*{message}"):
        LabelTable.read(write(tmp_path / "t.txt", text))


def test_text_in_another_encoding_is_refused_by_line(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"id\tname\n1\ta\n2\tM\xfcller\n")
    with pytest.raises(ValueError, match=r"t\.txt, line 3: must be a text file in UTF-8"):
        LabelTable.read(tmp_path / "t.txt")


def test_names_with_signs_survive(tmp_path):
    names = ("background", 'a "b", c', "tab\tin it", "'d'", "# e", "ü;")
    table = LabelTable.from_labels(range(6))
    table = replace(table, names=names, groups=names)
    table.write(tmp_path / "t.tsv")
    assert LabelTable.read(tmp_path / "t.tsv") == table
    with pytest.raises(ValueError, match="`names` must be a line each"):
        replace(table, names=(*names[:5], "two\nlines"))


def test_a_table_of_others_is_not_replaced(tmp_path):
    path = write(tmp_path / "x.tsv", "id\tname\tage\n1\ta\t5\n")
    with pytest.raises(ValueError, match=r"x\.tsv exists and is another table"):
        LabelTable.from_labels([1]).write(path)
    assert path.read_text() == "id\tname\tage\n1\ta\t5\n"


def test_missing_empty_and_binary_tables(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.tsv does not exist"):
        LabelTable.read(tmp_path / "none.tsv")
    with pytest.raises(ValueError, match="lists no labels"):
        LabelTable.read(write(tmp_path / "empty.txt", "# nothing\n"))
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x80")
    with pytest.raises(ValueError, match="line 1: must be a text file"):
        LabelTable.read(tmp_path / "binary.txt")


def test_output_pairs_must_be_pairs(tmp_path):
    text = TSV.replace("right\t25\t41", "right\t25\t24")
    table = LabelTable.read(write(tmp_path / "t.tsv", text))
    with pytest.raises(ValueError, match="labels 25 and 57 are partners, but count as 2 and 24"):
        _ = table.output_pairs


def test_merging_both_sides_gives_no_output_pair(tmp_path):
    text = TSV.replace("right\t2\t41", "right\t2\t2").replace("right\t25\t41", "right\t25\t2")
    table = LabelTable.read(write(tmp_path / "t.tsv", text))
    assert table.output_pairs == () and table.output_labels == (0, 2, 24)


def test_columns_are_checked_without_a_file():
    good = {
        "ids": (0, 1),
        "names": ("background", "a"),
        "partners": (None, None),
        "outputs": (0, 1),
        "groups": ("b", "a"),
        "brain": ("no", "yes"),
    }
    assert LabelTable(**good).sides == ("none", "none")
    for change, message in (
        ({"names": ("a",)}, "each column must have 2 entries"),
        ({"ids": (1, 2)}, "`ids` must include 0"),
        ({"ids": (0, 0)}, "label 0 is listed twice"),
        ({"brain": ("no", "?")}, "label 1: `brain` must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            LabelTable(**{**good, **change})


def test_check_and_unused(table):
    table.check({0: 5, 502: 1}, "a.nii")
    with pytest.raises(
        ValueError, match=r"a\.nii holds labels .* not list: 3 \(1,200 voxels\), 9 \(1"
    ):
        table.check({0: 5, 9: 1, 3: 1200}, "a.nii")
    with pytest.warns(UserWarning, match=r"18 maps: listed labels that never occur: 30, 62$"):
        table.warn_unused({2, 24, 25, 41, 57, 502}, "18 maps")
    table.warn_unused(table.ids, "18 maps")


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_count_labels(dtype):
    data = np.array([[0, 3, 3], [0, 0, 7]], dtype)
    assert count_labels(data) == {0: 3, 3: 2, 7: 1}


def test_count_labels_of_large_values():
    assert count_labels(np.array([0, 2**30, 2**30], "int32")) == {0: 1, 2**30: 2}


def test_real_table(shared):
    path = shared("data/label_maps/labels.tsv")
    table = LabelTable.read(path)
    assert len(table.ids) == 54 and len(table.output_labels) == 1 + 32
    assert table.output_labels[0] == 0
    assert (136, 163) in table.pairs and (4, 43) in table.output_pairs
    assert 24 not in table.brain_labels and 2 in table.brain_labels
    assert len({left for left, _ in table.pairs} & {right for _, right in table.pairs}) == 0


PARCELS = (
    "id\tname\tpartner\ttissue\tpart_of\n1001\tleft frontal\t2001\tgrey\tleft cortex\n"
    "1002\tleft occipital\t-\tgrey\tleft cortex\n2001\tright frontal\t1001\tgrey\tright cortex\n"
    "17\tleft hippocampus\t-\tgrey\t-\n"
)


def test_parts_of_structures(tmp_path):
    table = LabelTable.read(write(tmp_path / "parcels.tsv", PARCELS))
    assert table.structures == (None, "left cortex", "left cortex", "right cortex", None)
    assert wholes(table) == {0: 0, 1001: 1001, 1002: 1001, 2001: 2001, 17: 17}
    whole = structure_table(table)
    assert whole.output_labels == (0, 17, 1001, 2001) and whole.output_pairs == ((1001, 2001),)
    assert whole.mapping[1002] == 1001
    # Of the labels that occur, the same structures remain.
    assert structure_table(table.select([1002])).output_labels == (0, 1002)
    table.write(tmp_path / "again.tsv")
    table.write(tmp_path / "again.tsv")
    assert LabelTable.read(tmp_path / "again.tsv") == table


def test_a_table_without_parts_has_no_column_for_them(table, tmp_path):
    table.write(tmp_path / "again.tsv")
    assert "part_of" not in (tmp_path / "again.tsv").read_text()
    with pytest.raises(ValueError, match="part_of"):
        structure_table(table)


def test_weights(tmp_path):
    text = "id;name;Weight\n3;left a;\n4;right a;2.5\n9;b;4\n"
    table = LabelTable.read(write(tmp_path / "weights.csv", text))
    assert table.weights == (1, 1, 2.5, 4) and table.output_weights == (1, 1, 2.5, 4)
    assert table.select([4]).output_weights == (1, 1, 2.5)
    table.write(tmp_path / "again.tsv")
    assert LabelTable.read(tmp_path / "again.tsv") == table
    for bad in ("0", "-1", "inf", "much"):
        with pytest.raises(ValueError, match=r"(label 9|line 4): `weight` must be"):
            LabelTable.read(write(tmp_path / "bad.csv", text.replace(";4\n", f";{bad}\n")))
