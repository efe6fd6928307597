"""
The Open Inference Protocol over gRPC, asked of the images.
"""

from test_conformance_grpc import *  # noqa: F403  # its tests run here on this folder's fixtures
