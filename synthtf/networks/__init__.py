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
    "detector": "parts",
    "has_competing_features": "parts",
    "has_features": "parts",
    "has_mixture": "parts",
    "joined_networks": "parts",
    "joint_registration": "joint",
    "most_likely": "chains",
    "network_multiple": "unets",
    "pairwise_unet": "pairwise",
    "quality_encoder": "quality",
    "registration_unet": "deformable",
    "unet": "unets",
    "with_features": "parts",
    "with_logits": "parts",
}

__all__ = sorted(_MODULES)
__getattr__ = loader(__name__, _MODULES)
