"""From an export to a version in service: published, compared, tried live, promoted or withdrawn."""
