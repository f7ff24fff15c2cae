"""Task networks."""

from synthtf.networks.affine_detector import DetectorConfig, affine_detector
from synthtf.networks.hyper_conv import HyperConv
from synthtf.networks.joint_registration import joint_registration
from synthtf.networks.pairwise_unet import pairwise_unet
from synthtf.networks.parts import (
    class_weights,
    detector,
    has_competing_features,
    has_features,
    has_mixture,
    joined_networks,
    with_features,
    with_logits,
)
from synthtf.networks.registration_unet import RegistrationConfig, registration_unet
from synthtf.networks.unet import UNetConfig, network_multiple, unet

__all__ = [
    "DetectorConfig",
    "HyperConv",
    "RegistrationConfig",
    "UNetConfig",
    "affine_detector",
    "class_weights",
    "detector",
    "has_competing_features",
    "has_features",
    "has_mixture",
    "joined_networks",
    "joint_registration",
    "network_multiple",
    "pairwise_unet",
    "registration_unet",
    "unet",
    "with_features",
    "with_logits",
]
