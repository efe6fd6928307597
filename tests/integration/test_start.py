"""
What waits for a service that starts, as Knative's activator does.
"""

import httpx

from processes import Process, predictor, until
from test_predict import PREDICT


def test_first_connection_is_answered() -> None:
    """
    A predictor takes no connection before its model can answer: the very first one gets a prediction (kserve #2882).
    """
    service, answers = predictor(), list[httpx.Response]()
    with httpx.Client(base_url=service.url, timeout=60) as client, Process(service.command):

        def answered() -> bool:
            try:
                answers.append(client.post(PREDICT, json={"text": ["fine"]}))
            except httpx.ConnectError:
                return False
            return True

        until(answered)
    assert answers[0].status_code == httpx.codes.OK, answers[0].text
