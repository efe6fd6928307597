"""
The contract, asked of the images: v1 and the older routes.
"""

from test_predict import *  # noqa: F403  # its tests run here on this folder's fixtures
