"""The Session messenger, natively: end-to-end encrypted, with no server of our own.

From the ground up: `mnemonic` and `identity` (who we are), `protobuf` and `content` (what is
said), `envelope` (how it is sealed and proven), `attachments` (how files are). These do no I/O
and are checked byte for byte against recordings of another client.
"""
