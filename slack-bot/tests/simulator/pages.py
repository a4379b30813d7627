"""Pages of the simulator in a browser."""

import http.client
from urllib.parse import urlsplit


def get_page(url):
    """Return the response to a GET and its body. Redirects are not followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body
