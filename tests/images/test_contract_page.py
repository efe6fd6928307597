"""
The page and the document, asked of the images.
"""

from test_openapi import *  # noqa: F403  # its tests run here on this folder's fixtures

del test_generated_requests_are_answered_as_documented  # noqa: F821  # a minute of the same code
