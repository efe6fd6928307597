"""
The dashboards.
"""

from monitoring.board import Board
from monitoring.boards import cost, model, predictor, service

BOARDS: tuple[Board, ...] = (service.BOARD, predictor.BOARD, cost.BOARD, model.BOARD)
