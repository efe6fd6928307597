"""
The Open Inference Protocol over HTTP, asked of the images.
"""

from test_conformance_http import *  # noqa: F403  # its tests run here on this folder's fixtures
