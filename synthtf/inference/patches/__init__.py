"""Prediction in bounded memory: the network in patches, the result of the whole volume.

`memory` estimates what a prediction takes and chooses the patch, `predict` applies the network,
`graph` and `normalization` take it apart for that.
"""
