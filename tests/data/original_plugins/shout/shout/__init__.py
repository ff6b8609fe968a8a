from shout.plugin import Plugin

__all__ = ["Plugin"]
