"""Task networks. Their sizes load without Keras."""

from synthtf.lazy import loader

_MODULES = {
    "DetectorConfig": "sizes",
    "HyperConv": "hyper_conv",
    "RegistrationConfig": "sizes",
    "UNetConfig": "sizes",
    "affine_detector": "detectors",
    "chain_networks": "chains",
    "class_weights": "parts",
    "cross_unet": "crossed",
    "detector": "parts",
    "grouped_unet": "grouped",
    "has_competing_features": "parts",
    "has_features": "parts",
    "has_mixture": "parts",
    "has_sides": "parts",
    "joined_networks": "parts",
    "joint_registration": "joint",
    "most_likely": "chains",
    "network_multiple": "unets",
    "pairwise_unet": "pairwise",
    "pooled_unet": "pooled",
    "quality_encoder": "quality",
    "registration_unet": "deformable",
    "side_spread": "parts",
    "trained_class_layer": "parts",
    "trunk_weights": "parts",
    "unet": "unets",
    "with_features": "parts",
    "with_logits": "parts",
}

__all__ = sorted(_MODULES)
__getattr__ = loader(__name__, _MODULES)
