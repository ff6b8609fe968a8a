"""Where people are: one module for each platform."""
