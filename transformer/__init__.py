"""
The public face: the JSON contract and the cache; only what the cache does not know goes on to the predictor.

One request's way: `contract.parse → cache.lookup → client.classify(misses) → cache.store → contract.render`.
"""
