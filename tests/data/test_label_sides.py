import pytest

from synthtf.data.label_sides import split_side


@pytest.mark.parametrize(
    ("left", "right", "bare"),
    [
        ("Left-Thalamus", "Right-Thalamus", "Thalamus"),
        ("left white matter", "right white matter", "white matter"),
        ("Left wm, cerebral", "Right wm, cerebral", "wm, cerebral"),
        ("ctx-lh-bankssts", "ctx-rh-bankssts", "ctx-bankssts"),
        ("ctx_lh_G_and_S_frontal", "ctx_rh_G_and_S_frontal", "ctx_G_and_S_frontal"),
        ("lh.unc", "rh.unc", "unc"),
        ("LH-V1", "RH-V1", "V1"),
        ("Cbm_Left_I_IV", "Cbm_Right_I_IV", "Cbm_I_IV"),
        ("7Networks_LH_Vis_1", "7Networks_RH_Vis_1", "7Networks_Vis_1"),
        ("Left-L-Sg", "Right-L-Sg", "L-Sg"),
        ("Hippocampus_L", "Hippocampus_R", "Hippocampus"),
        ("hippocampus_l", "hippocampus_r", "hippocampus"),
        ("Hippocampus.L", "Hippocampus.R", "Hippocampus"),
        ("L_V1_ROI", "R_V1_ROI", "V1_ROI"),
        ("L Caudate", "R Caudate", "Caudate"),
        ("SFG_L_7_1", "SFG_R_7_1", "SFG_7_1"),
        ("Thalamic radiation L", "Thalamic radiation R", "Thalamic radiation"),
        ("caudate (left)", "caudate (right)", "caudate"),
        ("caudate (L)", "caudate (R)", "caudate"),
        ("Cingulate, left, anterior", "Cingulate, right, anterior", "Cingulate, anterior"),
        ("thalamus_left", "thalamus_right", "thalamus"),
        ("LeftCaudate", "RightCaudate", "Caudate"),
        ("caudateLeft", "caudateRight", "caudate"),
        ("lhCortex", "rhCortex", "Cortex"),
        ("LEFT", "RIGHT", "hemisphere"),
        ("Left-ctx-lh-x", "Right-ctx-rh-x", "ctx-x"),
    ],
)
def test_sides_of_names(left, right, bare):
    assert split_side(left) == ("left", right, bare)
    assert split_side(right) == ("right", left, bare)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "CSF",
            "3rd-Ventricle",
            "Brain-Stem",
            "Rightmost lobe",
            "Leftover",
            "vessel",
            "Vermis_VI",
        ),
        *("left-right commissure", "R", "L1", "lr", "WM-hypointensities", "cleft", "Area hOc1 l"),
    ],
)
def test_names_without_a_side(name):
    assert split_side(name) == ("none", "", name)
