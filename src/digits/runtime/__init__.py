"""How a run looks and fails. No stage depends on this package: it never changes what a stage writes."""
