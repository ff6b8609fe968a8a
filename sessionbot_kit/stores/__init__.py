"""Where conversations are kept; each store fulfils the contract in `sessionbot_kit.store`."""
