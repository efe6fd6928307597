import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.artifact import Artifact, ArtifactError
from predictor.classifier import linear, load, weights
from predictor.replicas.link import pack
from predictor.replicas.replica import Contents, Replica, contents_of

BATCH = [[101, 1045, 2293, 2017, 102], [101, 102], list(range(1000, 1100))]


@pytest.fixture(scope="module")
def contents(artifact: Artifact) -> Contents:
    """
    The embedded model's files, which nobody may write to, as in an object store.
    """
    contents = contents_of(artifact)
    for content in contents.values():
        content.flags.writeable = False
    return contents


@pytest.fixture
def replica(artifact: Artifact, contents: Contents, monkeypatch: pytest.MonkeyPatch) -> Replica:
    """
    A replica in this process, which computes as the engine beside it does: which is fastest may differ by the moment.
    """
    monkeypatch.setattr(weights, "fastest", lambda *_: linear.plain)
    replica = Replica()
    replica.load(artifact, "fp32", contents)
    return replica


def test_same_bits(replica: Replica, artifact: Artifact) -> None:
    """
    A replica's answers are those of the engine in process, bit for bit.
    """
    expected = load(artifact, "fp32").classify(BATCH)
    assert np.array_equal(replica.classify(*pack(BATCH)), expected)


def test_other_files(artifact: Artifact, contents: Contents) -> None:
    """
    A replica does not load files that are not its revision's.
    """
    with pytest.raises(ArtifactError, match=f"no longer revision {artifact.revision}"):
        Replica().load(artifact, "bf16", contents)


def test_other_families(artifact: Artifact, contents: Contents) -> None:
    """
    A model that the packed forward does not run has no replicas, and is told so.
    """
    strange = dataclasses.replace(artifact, config={**artifact.config, "architectures": ["Strange"]})
    with pytest.raises(ArtifactError, match="PREDICTOR_REPLICAS"):
        Replica().load(strange, "fp32", contents)


def test_weights_are_mapped(artifact: Artifact, contents: Contents) -> None:
    """
    The tensors of a file in memory are those of the file on disk, and lie in that memory.
    """
    expected = weights.read(artifact)
    [content] = [content for name, content in contents.items() if name.endswith(".safetensors")]
    actual = weights.mapped(content)
    assert actual.keys() == expected.keys()
    begin = content.ctypes.data
    for name, tensor in actual.items():
        assert tensor.dtype == expected[name].dtype
        assert tensor.equal(expected[name])
        assert begin <= tensor.data_ptr() < begin + content.nbytes


@given(st.lists(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=9), min_size=1, max_size=9))
def test_packed(batch: Sequence[Sequence[int]]) -> None:
    """
    A packed batch comes out as it went in.
    """

    class Echo:
        def classify(self, texts: list[list[int]]) -> list[list[int]]:
            return texts

    replica = Replica()
    replica._classifier = Echo()  # type: ignore[assignment]
    assert replica.classify(*pack(batch)) == batch  # type: ignore[comparison-overlap]
