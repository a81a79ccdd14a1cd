"""What the proxy tells of its history over HTTP, under ``/v1/budget`` (docs/http.md)."""
