"""Reads piles of scans: finds them, cuts them into chunks, reads these on Dask workers, keeps a table."""
