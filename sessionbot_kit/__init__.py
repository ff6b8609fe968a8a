"""Chat bots from notebook cells: a gateway, durable sessions and live plugins."""

__version__ = "0.1.0"
