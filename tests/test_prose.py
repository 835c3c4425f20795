"""The number of sentences that readers have to read twice only falls."""

from collections import Counter

import prose

MOST = {"messages": 5, "docstrings": 25, "comments": 9, "pages": 5}


def test_sentences_to_look_at_do_not_become_more():
    found = Counter(
        match.kind for file in prose.files() for match in prose.matches(file)
    )
    assert {
        kind: count for kind, count in found.items() if count > MOST.get(kind, 0)
    } == {}


def test_each_kind_of_text_is_read_and_a_marker_accepts_a_line(tmp_path):
    file, page = tmp_path / "code.py", tmp_path / "page.md"
    file.write_text('''"""Train anew."""  # of which
x = "2.5 is no date"
y = "2.5 is no date"  # prose: ok
"""
>>> "tells"
"""
''')
    page.write_text("# Beside\n\nA row beside `tells` it.\n\n```\nanew\n```\n")
    places = [
        (match.kind, match.line)
        for path in (file, page)
        for match in prose.matches(path)
    ]
    assert places == [("docstrings", 1), ("messages", 2), ("comments", 1), ("pages", 3)]
