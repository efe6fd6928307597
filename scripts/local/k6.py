"""
k6, which makes the load.
"""

import os
import shutil
import sys
from pathlib import Path

from local.supervisor import Failure


def find() -> str:
    """
    Find its program: the wheel's, or one on the PATH.

    Raises:
        Failure: there is none.
    """
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    path = shutil.which("k6", path=os.pathsep.join(folders))
    if path is None:
        raise Failure("no k6 here; scripts/install loadtest brings it, or put it on the PATH")
    return path
