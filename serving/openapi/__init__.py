"""
The OpenAPI document of a server and the page that shows it.

What KServe's application would generate knows none of our errors, headers and bodies, so it is not asked: a table says
what each route takes and answers, and tests hold the table to the live routes.
"""
