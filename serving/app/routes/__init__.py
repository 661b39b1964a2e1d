"""The routes of the gateway, a module for what belongs together; each makes a router."""
