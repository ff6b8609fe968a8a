"""Where sessions are cached; each cache fulfils the contract in `sessionbot_kit.cache`."""
