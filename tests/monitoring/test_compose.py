"""
Prometheus and Grafana as compose brings them.
"""

import re
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from monitoring.boards import BOARDS
from monitoring.promql import PREDICTORS, TRANSFORMERS
from processes import ROOT

FOLDER = ROOT / "manifests" / "containers"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
# What Grafana reads of a file that provisions: pkg/services/provisioning/{datasources,dashboards}/types.go.
DATASOURCE = {"name", "uid", "type", "access", "url", "isDefault", "editable", "jsonData", "orgId", "version"}
PROVIDER = {"name", "type", "orgId", "folder", "editable", "options", "disableDeletion", "updateIntervalSeconds"}


def mounts(service: str) -> dict[PurePosixPath, Path]:
    """
    Files and folders of the project by their paths in a container.
    """
    named = [mount.split(":") for mount in SERVICES[service]["volumes"]]
    return {PurePosixPath(path): FOLDER / source for source, path, *_ in named if source.startswith(".")}


def provisioned(kind: str) -> Any:
    """
    The only file in a folder of Grafana's provisioning.
    """
    [file] = [file for path, file in mounts("grafana").items() if path.parent.name == kind]
    return yaml.safe_load(file.read_text())


def test_prometheus_is_configured(promtool: str, tmp_path: Path) -> None:
    """
    Prometheus' own checker finds no fault in its configuration, with its files where they are mounted.
    """
    for path, file in mounts("prometheus").items():
        shutil.copy(file, tmp_path / path.name)
    [flag] = [flag for flag in SERVICES["prometheus"]["command"] if flag.startswith("--config.file=")]
    config = PurePosixPath(flag.partition("=")[2])
    assert config in mounts("prometheus")
    command = [promtool, "check", "config", str(tmp_path / config.name)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "1 rule files found" in result.stdout


def test_prometheus_scrapes_the_services() -> None:
    """
    Each service is scraped where it listens, under the job that rules and boards know it by.
    """
    config = yaml.safe_load((FOLDER / "monitoring" / "prometheus.yaml").read_text())
    for service, port, jobs in (("transformer", 8080, TRANSFORMERS), ("predictor", 8090, PREDICTORS)):
        [job] = [job for job in config["scrape_configs"] if re.fullmatch(jobs.split('"')[1], job["job_name"])]
        [source] = job["dns_sd_configs"]
        assert (source["names"], source["port"]) == ([service], port)
        assert set(SERVICES[service]["networks"]) & set(SERVICES["prometheus"]["networks"])


def test_grafana_finds_prometheus() -> None:
    """
    Grafana's one source of data is compose's Prometheus, and it is the one that the boards choose.
    """
    file = provisioned("datasources")
    assert set(file) == {"apiVersion", "datasources"}
    [source] = file["datasources"]
    assert set(source) <= DATASOURCE
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    assert set(SERVICES["grafana"]["networks"]) >= set(SERVICES["prometheus"]["networks"])


def test_grafana_has_the_boards() -> None:
    """
    Grafana takes its dashboards from where all of ours are, and shows the service's first.
    """
    file = provisioned("dashboards")
    assert set(file) == {"apiVersion", "providers"}
    [provider] = file["providers"]
    assert set(provider) <= PROVIDER
    folder = PurePosixPath(provider["options"]["path"])
    boards = {file.name for file in mounts("grafana")[folder].iterdir()}
    assert boards == {f"{board.uid}.json" for board in BOARDS}
    home = PurePosixPath(SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (home.parent, home.name) == (folder, f"{BOARDS[0].uid}.json")
