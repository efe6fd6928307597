"""
The engine past one process: replicas of it on Ray, behind the same call as the one in process.

`pool` runs in the predictor, `driver` in a child process, the only one that imports Ray, `replica` in Ray's workers.
Ray may end the process that it runs in: where its raylet is dead, at once, and where its head is away for a minute.
So the predictor never joins a cluster itself, and what hangs in Ray ends with the child.
"""
