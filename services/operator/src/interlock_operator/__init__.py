"""The `interlock` command line, the native process stack, the terminal view."""
