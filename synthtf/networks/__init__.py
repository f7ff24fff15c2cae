"""Task networks, of standard Keras layers."""

from synthtf.networks.unet import UNetConfig, network_multiple, unet

__all__ = ["UNetConfig", "network_multiple", "unet"]
