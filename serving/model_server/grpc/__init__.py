"""The gRPC server, its services and its health."""
