"""How much producers make and consumers take."""

from typing import Annotated

from synthtf.arguments import Limits
from synthtf.options import Options, option, options

_LARGEST = 2**31 - 1


@options
class ProducerOptions(Options):
    """How much a producer makes."""

    num: Annotated[int, Limits(1, _LARGEST)] | None = option(
        None, "end after so many samples; none to go on until it is stopped"
    )
    max_shards: Annotated[int, Limits(1, _LARGEST)] = option(
        64, "shards that wait or are being made, at most; it waits while there are so many"
    )
    shard_size: Annotated[int, Limits(1, _LARGEST)] = option(8, "samples per shard")


@options
class ConsumerOptions(Options):
    """How much a consumer takes."""

    num: Annotated[int, Limits(1, _LARGEST)] = option(20, "samples to take")
    wait: Annotated[float, Limits(0)] = option(
        600.0, "seconds after which to give up if nobody writes samples", metavar="S"
    )
