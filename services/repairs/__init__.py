"""Repairs: tickets, what technicians did on them, and the parts that went in."""
