"""Encoding of text: words, their weights and directions."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from vecprop import TableEncoder, TabularClassifier, load, save

RNG = np.random.default_rng(0)
NOUNS = [f"noun{k}" for k in range(40)]


def sentences(rows, words=NOUNS):
    return pd.Series([" ".join(RNG.choice(words, 8)) for _ in range(rows)])


def learned(series) -> Any:
    """Return the encoding of a column of text."""
    frame = pd.DataFrame({"text": series, "row": np.arange(len(series)) * 1.5})
    return dict(encoder_of(frame, text="text").encoder_.columns)["text"]


def encoder_of(frame, **columns):
    return TableEncoder(columns=columns).fit(frame)


def test_weights_and_directions_of_words_by_hand():
    series = pd.Series(["red hat", "red car", "red red", None, "Hat"])
    texts = learned(series)
    assert texts.words.tolist() == ["hat", "red"]
    np.testing.assert_allclose(texts.idf, 1 + np.log([6 / 3, 6 / 4]))
    rows = np.array([[1, 1], [0, 1], [0, 1 + np.log(2)], [0, 0], [1, 0]]) * texts.idf
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    _, vectors = np.linalg.eigh(rows.T @ rows)
    np.testing.assert_allclose(
        np.abs(texts.directions), np.abs(vectors[:, ::-1]), atol=1e-6
    )
    # With as many directions as words, dot products of rows are exact.
    np.testing.assert_allclose(
        texts(series) @ texts(series).T, rows @ rows.T, atol=1e-6
    )


@pytest.mark.parametrize(
    ("words", "distinct", "rest", "kind"),
    [
        (4, 65, 0, "text"),
        (4, 64, 0, "categories"),
        (3, 65, 0, "categories"),
        (5, 70, 60, "categories"),
    ],
)
def test_repeated_sentences_are_text_if_there_are_many(words, distinct, rest, kind):
    """The words of a value count in each of its rows, so other rows may have one word."""
    values = [
        " ".join([f"sentence{k}", *["of", "some", "more", "words"][: words - 1]])
        for k in range(distinct)
    ]
    frame = pd.DataFrame({"said": [*values, *["no"] * rest] * 3})
    assert encoder_of(frame).encoder_.kinds == {"said": kind}


def test_rows_have_unit_length_or_no_known_word():
    texts = learned(sentences(300))
    inputs = texts(pd.Series(["noun1 noun2", "unknown words", "", None]))
    np.testing.assert_allclose(np.linalg.norm(inputs, axis=1), [1, 0, 0, 0], atol=1e-6)
    assert inputs.dtype == np.float32
    texts = learned(pd.Series([*["one two"] * 4, None]))  # null directions are dropped
    assert texts.width == 1
    np.testing.assert_allclose(
        texts(pd.Series(["one two", "two"])), [[1], [1]], atol=1e-5
    )


def test_directions_do_not_depend_on_the_number_of_threads():
    series = sentences(150)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(learned(series).directions.tobytes())
    assert found[0] == found[1]


def test_constant_text_and_text_without_common_words_are_not_used():
    long = "x" * 100_000
    no_word = "no two rows have a word in common"
    constant = "all values are the same"
    for rows, reason in (
        (["a b", "c d"], no_word),
        (["!", "?"], no_word),
        ([long + "a", long + "b"], no_word),
        (["", ""], constant),
        ([long] * 2, constant),
    ):
        frame = pd.DataFrame({"text": rows, "row": np.arange(2) * 1.5})
        encoder = encoder_of(frame, text="text").encoder_
        assert encoder.dropped == {"text": reason}
    texts = learned(pd.Series([f"red {long} hat", f"red {long} car", long]))
    assert texts.words.tolist() == ["red"]
    frame = pd.DataFrame({"same": ["one text"] * 30, "some": ["one text", None] * 15})
    encoder = encoder_of(frame, same="text", some="text")
    assert encoder.encoder_.names == ["some"]
    assert encoder.notes_ == ["Column 'same' is not used: all values are the same."]


def test_a_sample_of_rows_determines_the_words(limit):
    series = sentences(200)
    limit("texts: rows", 50)
    limit("texts: words", 20)
    texts = learned(series)
    assert len(texts.words) == 20
    assert texts(series).shape == (200, texts.width)


def test_words_predict_the_class():
    """Ten of 2,000 words predict one class and ten the other; 256 hashed inputs would mix them."""
    words = [f"word{k}" for k in range(2000)]
    is_yes = RNG.random(400) < 0.5
    told = np.where(is_yes, RNG.choice(words[:10], 400), RNG.choice(words[10:20], 400))
    frame = pd.DataFrame(
        {
            "text": [
                f"{text} {word}"
                for text, word in zip(sentences(400, words), told, strict=True)
            ]
        }
    )
    frame["is_yes"] = np.where(is_yes, "yes", "no")
    model = TabularClassifier(
        "is_yes", n_estimators=2, max_iter=60, hidden_layer_sizes=8, random_state=0
    ).fit(frame[:300])
    assert model.score(frame[300:]) > 0.9


@pytest.fixture(scope="module")
def model():
    frame = pd.DataFrame({"text": sentences(60), "y": np.tile(["a", "b"], 30)})
    return TabularClassifier("y", n_estimators=2, max_iter=1, random_state=0).fit(frame)


def test_words_survive_saving(model, tmp_path):
    save(model, tmp_path / "model.npz")
    frame = pd.DataFrame({"text": sentences(5)})
    assert np.array_equal(
        load(tmp_path / "model.npz").predict_proba(frame), model.predict_proba(frame)
    )


def test_files_with_inconsistent_words_raise(model):
    (texts,) = model.encoder_.parts
    assert texts.is_consistent()
    for wrong in (
        {"words": np.repeat(texts.words[:1], len(texts.words))},
        {"idf": texts.idf[1:]},
        {"directions": np.full_like(texts.directions, np.nan)},
        {"directions": texts.directions[:, :0]},
    ):
        assert not replace(texts, **wrong).is_consistent()
