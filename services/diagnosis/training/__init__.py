"""The calibrated scorer learns from technicians' decisions."""
