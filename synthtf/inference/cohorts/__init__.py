"""Many scans: which outputs they get, which of these exist, and where each comes from."""
