"""
Text → scores: tokenise, queue, batch, DistilBERT on CPU, behind KServe's protocols.

One text's way: `wire.question_from → tokenizer.encode → batcher.submit → classifier.classify → wire.response_from`.
"""
