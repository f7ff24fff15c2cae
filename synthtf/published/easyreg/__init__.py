"""EasyReg: symmetric registration of brain scans of any contrast, by their segmentations.

Reference:
    Iglesias, A ready-to-use machine learning tool for symmetric multi-modality registration of
    brain MRI, Scientific Reports 2023.
"""
