"""What is measured: `python -m benchmarks NAME [--json FILE]`. Each module is one benchmark."""
