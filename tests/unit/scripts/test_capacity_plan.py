"""What traffic needs, and how its description is read."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.supervisor import Failure
from sizing.comparison import Row
from sizing.figures import SHIPPED, Figures
from sizing.plan import plan
from sizing.traffic import Limits, Traffic

BASE = Path(__file__).resolve().parents[3] / "manifests" / "base"
FIGURES = Figures.read(SHIPPED)
UNSEEN = Traffic(vocabulary=10**12, zipf_exponent=0)


def test_cores_grow_in_proportion() -> None:
    """
    Where nothing is a hit, twice the requests take twice the cores, network and Redis.
    """
    one, two = (plan(FIGURES, UNSEEN, rate) for rate in (1000.0, 2000.0))
    for name in ("transformer_cores", "predictor_cores", "redis_cores", "redis_mib", "network_gbit"):
        assert getattr(two, name) == pytest.approx(2 * getattr(one, name), rel=1e-3)


def test_replicas_keep_to_the_target() -> None:
    """
    Replicas are as few as leave each within the target of what it can do.
    """
    for rate in (1.0, 123.0, 45_678.0):
        planned, limits = plan(FIGURES, Traffic(), rate), Traffic().limits
        assert planned.transformer_cores <= planned.transformers * limits.target
        assert planned.predictor_cores <= planned.predictors * limits.predictor_cores * limits.target
        assert planned.redis_mib <= planned.redis_servers * limits.redis_mib


@pytest.mark.parametrize("rate", [10.0, 1e3, 1e6])
@pytest.mark.parametrize(
    "traffic", [Traffic(), UNSEEN, Traffic(vocabulary=100), Traffic(limits=Limits(link_gbit=1e-3))]
)
def test_what_breaks_first_carries_least(traffic: Traffic, rate: float) -> None:
    """
    The resource that is named is the one that carries the fewest requests a second.
    """
    planned = plan(FIGURES, traffic, rate)
    carried = {name: rate / used for name, used in planned.used.items()}
    assert carried[planned.breaks_first] == min(carried.values())


def test_a_starved_resource_breaks_first() -> None:
    """
    Whatever a deployment has least of is what breaks first.
    """
    for name, limit in {
        "transformer loops": Limits(transformer_cores=1e-6),
        "predictor cores": Limits(predictor_replicas=1, redis_mib=1e9, transformer_replicas=10**6),
        "Redis' memory": Limits(redis_mib=1e-3),
    }.items():
        assert plan(FIGURES, Traffic(limits=limit), 1e4).breaks_first == name


def test_limits_are_those_of_the_manifests() -> None:
    """
    Without a word about limits, they are those of manifests/base.
    """
    service = yaml.safe_load((BASE / "inference-service.yaml").read_text())["spec"]
    redis = next(each for each in yaml.safe_load_all((BASE / "redis.yaml").read_text()) if each["kind"] == "Deployment")
    arguments = redis["spec"]["template"]["spec"]["containers"][0]["args"]
    transformer, predictor = service["transformer"], service["predictor"]
    limits = Limits()
    assert limits.transformer_replicas == transformer["maxReplicas"]
    assert limits.transformer_cores == _cores(transformer)
    assert limits.predictor_replicas == predictor["maxReplicas"]
    assert limits.predictor_cores == _cores(predictor)
    assert f"{limits.redis_mib:.0f}mb" == arguments[arguments.index("--maxmemory") + 1]


def _cores(component: dict[str, Any]) -> float:
    return float(component["containers"][0]["resources"]["limits"]["cpu"])


def test_prices_are_paid() -> None:
    """
    The cost is the cores' and the memory's, each at its price.
    """
    priced = Traffic.model_validate({"prices": {"core_hour": 2, "gib_hour": 3}})
    planned = plan(FIGURES, priced, 1e4)
    assert planned.cost_hour == pytest.approx(2 * planned.cores + 3 * planned.memory_gib)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("vocabulary: 0", "vocabulary: Input should be greater than 0"),
        ("zipf: 1", "zipf: Extra inputs are not permitted"),
        ("token_quantiles: [9, 4]", "token_quantiles must not fall"),
        ("limits: {link_gbit: fast}", "limits.link_gbit: Input should be a valid number"),
        ("[1, 2]", "Input should be a valid dictionary"),
        ("{", "is neither YAML nor JSON"),
    ],
)
def test_wrong_description_is_one_line(tmp_path: Path, content: str, told: str) -> None:
    """
    What is wrong in a file is said in one line that names the file and the field.
    """
    file = tmp_path / "traffic.yaml"
    file.write_text(content)
    with pytest.raises(Failure) as failure:
        Traffic.read(file)
    message = str(failure.value)
    assert message.startswith(str(file))
    assert told in message
    assert "\n" not in message


def test_missing_file_is_said(tmp_path: Path) -> None:
    """
    A file that is not there is named.
    """
    with pytest.raises(Failure, match=r"none\.yaml cannot be read: No such file"):
        Traffic.read(tmp_path / "none.yaml")


def test_documents_are_read_as_written(tmp_path: Path) -> None:
    """
    YAML and JSON are read alike, and what was written is what is read.
    """
    file = tmp_path / "figures.json"
    FIGURES.write(file)
    assert Figures.read(file) == FIGURES
    file.write_text(yaml.safe_dump(json.loads(file.read_text())))
    assert Figures.read(file) == FIGURES


def test_shipped_figures_say_where_they_are_from() -> None:
    """
    The figures that are shipped name their processor, date and model.
    """
    shipped = Figures.read(SHIPPED)
    assert shipped.processor
    assert shipped.date
    assert shipped.model
    assert shipped.numeric_mode == "fp32"


@pytest.mark.parametrize(
    ("row", "held"),
    [
        (Row("p99, ms", None, 100, 119), True),
        (Row("p99, ms", None, 100, 121), False),
        (Row("p99, ms", None, 100, 79), False),
        (Row("hit ratio", 0.70, 0.70, 0.719, share=True), True),
        (Row("hit ratio", 0.70, 0.70, 0.721, share=True), False),
        (Row("hit ratio", 0.73, 0.70, 0.70, share=True), False),
    ],
)
def test_prediction_is_held_within_bounds(row: Row, held: bool) -> None:
    """
    A prediction holds within 20 %, and one of a share within 2 points, on paper as well.
    """
    assert row.held == held
