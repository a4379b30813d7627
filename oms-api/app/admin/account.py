"""Who sits at the machine."""

import os
import pwd


def account() -> str:
    """Return the name of the account that runs this, or its number where it has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # containers run as numbers
        return str(os.getuid())
