"""
KServe without pandas.
"""

import subprocess
import sys

SCRIPT = """
import sys
from serving import lean_kserve
lean_kserve.import_kserve()
import predictor.model, serving.server, transformer.model
assert "pandas" not in sys.modules
import pandas
assert pandas.DataFrame([1]).size == 1
"""


def test_services_load_no_pandas_and_leave_it_to_others() -> None:
    """
    What the services import loads no pandas, and whoever imports pandas later gets pandas.
    """
    subprocess.run([sys.executable, "-c", SCRIPT], check=True)
