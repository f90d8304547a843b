"""What an operator sees of a running stack: terminal view, progress lines, summary."""
