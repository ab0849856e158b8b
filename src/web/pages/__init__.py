"""The pages people see, made on the server."""
