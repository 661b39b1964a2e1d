"""Brings an export into service: publishes it, compares it, tries it live, then promotes or withdraws it."""
