"""
Write the files.
"""

from monitoring.files import ROOT, files

for path, content in files().items():
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    print(path.relative_to(ROOT))  # noqa: T201  # it speaks to a person
