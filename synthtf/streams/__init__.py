"""Streams: processes that make synthetic samples, and others that learn from them."""

from synthtf.lazy import loader

_MODULES = {
    "Buffer": "buffer",
    "ConsumerOptions": "options",
    "ProducerOptions": "options",
    "produce": "producing",
    "read_batches": "reading",
    "read_samples": "reading",
    "write_stream": "writing",
}

__all__ = sorted(_MODULES)
__getattr__ = loader(__name__, _MODULES)
