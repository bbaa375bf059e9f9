"""Pattern detection: unusually many alike tickets that no known failure explains become incidents."""
