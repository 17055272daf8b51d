"""How tests read a refusal, and how they send what no client would."""

import json
import socket
import urllib.parse
from typing import Any

from servers import Server


def check_refusal(
    server: Server, reply: tuple[int, Any], http: int, code: str, *words: str
) -> None:
    """Assert that a reply is a google.rpc.Status saying these words, and no path."""
    status, document = reply
    assert status == http, document
    error = document["error"]
    assert set(error) >= {"code", "message", "status"}
    assert (error["code"], error["status"]) == (http, code)
    check_sentence(server, error["message"], *words)


def check_failure(server: Server, operation: Any, code: int, *words: str) -> str:
    """Assert that an operation failed with a google.rpc.Code; return its message."""
    assert "response" not in operation, operation
    error = operation["error"]
    assert error["code"] == code, error
    check_sentence(server, error["message"], *words)
    return str(error["message"])


def check_sentence(server: Server, message: str, *words: str) -> None:
    assert [word for word in words if word not in message] == [], message
    assert str(server.data_dir) not in message


def exchange(server: Server, *parts: bytes) -> tuple[int, Any]:
    """Send bytes as they are on a connection of their own; return status and JSON."""
    with connect(server) as connection:
        for part in parts:
            connection.sendall(part)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def connect(server: Server) -> socket.socket:
    address = urllib.parse.urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def request_head(path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()
