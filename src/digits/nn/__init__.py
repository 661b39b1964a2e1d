"""What networks are built from: layers that compute alike on one device and on several."""
