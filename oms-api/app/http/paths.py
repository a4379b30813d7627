"""Path parameters that end at a colon: `/api-keys/{key_id:id}` does not match `/api-keys/{key_id}:rotate`."""

from starlette.convertors import StringConvertor, register_url_convertor

ID_CONVERTOR = "id"


class IdConvertor(StringConvertor):
    """Matches text without slashes and colons."""

    regex = "[^/:]+"


register_url_convertor(ID_CONVERTOR, IdConvertor())
