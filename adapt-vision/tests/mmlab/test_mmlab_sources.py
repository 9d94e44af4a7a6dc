"""Where models come from: a configuration file of one's own, or the index, by either of its names, with its weights."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from adapt_core.cli.app import command_line
from adapt_core.errors import AdaptError

pytest.importorskip("mmdet", reason="the OpenMMLab libraries are not installed: python -m adapt_vision.mmlab")

YOLOX, RTMDET = "yolox_nano_8xb8-300e_coco", "rtmdet_tiny_8xb32-300e_coco"


class Served(SimpleHTTPRequestHandler):
    """Notes what was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """An address of this machine, the folder that it serves, and what was asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    kind = type("Noting", (Served,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(kind, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder, kind.asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps what it fetches."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def options(**given: Any) -> Any:
    from adapt_vision.libraries.openmmlab.options import OpenMMLabModel

    return OpenMMLabModel(library="mmdet", **given)


def test_weights_of_the_index_are_fetched_once(
    served: tuple[str, Path, list[str]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be fetched leaves no file behind, and says where it was looked for."""
    from adapt_vision.libraries.openmmlab import weights

    address, folder, asked = served
    listed = weights.weights_of

    def here(package: str, name: str) -> str | None:
        found = listed(package, name)
        return found and f"{address}/{found.rpartition('/')[2]}"

    monkeypatch.setattr(weights, "weights_of", here)
    name = str(listed("mmdet", RTMDET)).rpartition("/")[2]
    with pytest.raises(AdaptError, match=f"{RTMDET} cannot be fetched from {address}/{name}") as caught:
        weights.weights_file("mmdet", options(name=RTMDET))
    assert "LOCAL_MODEL_PATH" in caught.value.hint and not list(cache.iterdir())
    torch.save({"a": torch.arange(3.0)}, folder / name)
    for _ in range(2):
        file = weights.weights_file("mmdet", options(name=RTMDET))
        assert file == cache / name and file.read_bytes() == (folder / name).read_bytes()
    assert asked == [f"/{name}"] * 2, "one failed, one succeeded, and the second was not needed"


@pytest.mark.parametrize(
    ("given", "stem"),
    [
        ({"name": "faster-rcnn_r50_fpn_carafe_1x_coco"}, "faster-rcnn_r50_fpn-carafe_1x_coco"),  # the index's name
        ({"name": "faster-rcnn_r50_fpn-carafe_1x_coco"}, "faster-rcnn_r50_fpn-carafe_1x_coco"),  # the file's
        ({"name": f"rtmdet/{RTMDET}.py"}, RTMDET),
        ({"name": "retinanet_regnetx-3.2GF_fpn_1x_coco"}, "retinanet_regnetx-3.2GF_fpn_1x_coco"),  # with a dot
    ],
)
def test_a_name_means_a_configuration_and_its_weights(
    given: dict[str, str], stem: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapt_vision.libraries.openmmlab import weights
    from adapt_vision.libraries.openmmlab.configuration import indexed, load_configuration

    config = load_configuration("mmdet", options(**given))
    assert Path(config.filename).stem == stem
    (address,) = {each["Weights"] for each in indexed("mmdet") if Path(each.get("Config", "")).stem == stem}
    fetched = []
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda address, *_, **__: fetched.append(address))
    weights.weights_file("mmdet", options(**given))
    assert fetched == [address]


@pytest.mark.usefixtures("no_reload")
def test_a_file_of_one_s_own_trains_by_the_command_line_without_mmengine_s_log_on_the_terminal(
    cells: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its base is one of the library's, and what it changes is in the configuration that is saved."""
    from adapt_vision.libraries.openmmlab.configuration import index_folder
    from adapt_vision.libraries.openmmlab.files import read_config

    base = index_folder("mmdet") / "configs" / "yolox" / f"{YOLOX}.py"
    own = tmp_path / "own.py"
    own.write_text(f"_base_ = [{str(base)!r}]\nmodel = dict(bbox_head=dict(loss_cls=dict(loss_weight=9.0)))\n")
    config = {
        **cells,
        "task": {**cells["task"], "image_size": 64},
        "model": {"library": "mmdet", "config": str(own), "path": cells["model"]["path"]},
        "training": {**cells["training"], "do_eval": False, "max_steps": 1},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert command_line(["run", str(tmp_path / "config.json")]) == 0
    said = "".join(capfd.readouterr())
    (log,) = Path(cells["output_dir"], "logs", "mmengine").rglob("*.log")
    lines = [line for line in log.read_text().splitlines() if "mmengine" in line]
    assert lines and "mmengine" not in said and not any(line in said for line in lines), said
    assert read_config(Path(cells["output_dir"], "model")).model.bbox_head.loss_cls.loss_weight == 9.0
