"""What `make check` looks at, beside ruff and mypy: `python -m checks`, or one of them alone."""
