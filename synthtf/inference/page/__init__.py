"""A page that segments scans in the browser."""
