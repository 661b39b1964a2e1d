"""A function for --facts_function."""


def rows(signature, inputs, outputs):
    """Give what was sent, as text, and the names of what was answered."""
    sent = {name: [str(value) for value in values.tolist()] for name, values in inputs.items()}
    return [{"sent": sent, "got": sorted(outputs)}]
