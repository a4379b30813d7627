"""Print the pictures of the gallery as JSON: `python -m tests.gallery`."""

import json
import sys

from tests.gallery.pictures import list_pictures

json.dump(
    [{"name": each.name, "surface": each.surface, "content": each.content} for each in list_pictures()],
    sys.stdout,
)
