"""Commands with the flags of the published tools: a file each, argparse and one call."""
