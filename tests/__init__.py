"""The specification of sessionbot_kit: each test's name is a sentence of it."""
