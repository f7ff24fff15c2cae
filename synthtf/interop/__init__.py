"""Published weights and the formats of other packages."""

from synthtf.interop.synthseg import load_synthseg, load_synthseg_weights

__all__ = ["load_synthseg", "load_synthseg_weights"]
