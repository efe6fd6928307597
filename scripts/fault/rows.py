"""
The table, in order.
"""

from fault import clients, overload, predictor, redis

ROWS = {row.name: row for row in [*redis.ROWS, *predictor.ROWS, *overload.ROWS, *clients.ROWS]}
