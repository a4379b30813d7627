"""Pages of a list of the API."""


def iterate_pages(api, path, **params):
    """Yield the pages of a list by following its links."""
    response = api.get(path, **params)
    for _ in range(100):
        assert response.status_code == 200, response.text
        yield response.json()
        link = response.headers.get("link")
        if link is None:
            return
        address, relation = link.split("; ")
        assert relation == 'rel="next"'
        response = api.service.client.get(address.strip("<>"), headers={"X-API-Key": api.key})
    raise AssertionError("the pages do not end")
