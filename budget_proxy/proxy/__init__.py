"""The proxy: the same exchange, driven by an ASGI app and an upstream client."""
