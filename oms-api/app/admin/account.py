"""The operating system account of the operator."""

import os
import pwd


def get_account_name() -> str:
    """Return the name of the account of this process, or its number if it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run as numeric users
        return str(os.getuid())
