"""The backlog as a server of the Model Context Protocol: eight tools, the same project methods as the command line."""
