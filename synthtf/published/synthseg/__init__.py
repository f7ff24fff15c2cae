"""SynthSeg: brain segmentation of scans of any contrast and resolution, with published weights.

What `mri_synthseg` of FreeSurfer computes, constants and quirks included: SynthSeg 2.0, fast,
robust, the parcellation of the cortex, scores of quality, and 1.0. `labels` holds what the labels
are; `preparing` brings a scan to the networks; `networks` applies them; `postprocessing` turns
posteriors into labels and volumes; `quality` gives the scores; `pipeline` is all of it for one
scan; `cohort` does many scans, with `tables` and `weights`.

Reference:
    Billot et al., SynthSeg: segmentation of brain MRI scans of any contrast and resolution without
    retraining, Medical Image Analysis 2023. Billot et al., Robust machine learning segmentation for
    large-scale analysis of heterogeneous clinical brain MRI datasets, PNAS 2023.
"""
