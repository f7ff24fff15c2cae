"""The task of finding what has changed between two scans."""
