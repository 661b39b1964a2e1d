"""What sweeps and cross-validations share: spaces, studies, workers, reports."""
