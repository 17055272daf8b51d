"""Talking to a Homeport server over HTTP; imports no room of the server."""
