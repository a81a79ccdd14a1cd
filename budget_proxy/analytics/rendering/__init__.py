"""Reports as people read them: in a terminal, as Markdown, as one HTML file."""
