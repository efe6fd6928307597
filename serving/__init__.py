"""
KServe's ModelServer made fit for production; knows text classification's protocols and nothing of sentiment.

Both services build on it: one error shape, request decoding and limits, request ids and one log line a request,
closed repository routes, readiness that tells the truth, and an orderly stop. Each workaround names the upstream
bug that it answers, so that it can be deleted when upstream is fixed.
"""
