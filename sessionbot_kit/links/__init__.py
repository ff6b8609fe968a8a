"""How a gateway and a plugin kernel are joined: in memory, over a WebSocket, over NATS."""
