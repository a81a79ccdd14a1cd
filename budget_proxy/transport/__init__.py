"""The two drivers of one exchange: sync and async HTTP transports around a client's own."""
