"""Published tools on Keras 3: their weights, their steps, the same numbers.

A folder for each tool: what it computes between a scan and its files, constants and quirks
included. `synthtf.interop` reads the weights; `synthtf.cli.published` has the commands.
"""
