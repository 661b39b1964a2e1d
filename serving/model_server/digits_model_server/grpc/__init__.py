"""The gRPC port, its services, and health checks."""
