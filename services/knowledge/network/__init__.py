"""Approved cards travel between services as signed bundles. How, and why so: docs/network-sync.md."""
