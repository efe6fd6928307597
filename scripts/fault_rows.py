"""
The table, in order.
"""

import fault_clients
import fault_overload
import fault_predictor
import fault_redis

ROWS = {row.name: row for row in [*fault_redis.ROWS, *fault_predictor.ROWS, *fault_overload.ROWS, *fault_clients.ROWS]}
