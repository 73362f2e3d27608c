"""The command line: parse, ask the project once, show the answer."""
