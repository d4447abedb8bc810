"""Segments images with the engine beside this file. Needs numpy, Pillow and the engine's package; nothing else.

    python run.py street.jpg -o out            # an image, or several
    python run.py folder/ -o out --overlay 0.5 # every image of a folder, the mask blended over it
    python run.py --camera 0 -o out --frames 100   # a camera, through OpenCV (pip install opencv-python-headless)

What the engine takes and gives stands in hwnas.json, which must lie beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}


def open_engine(manifest: dict[str, Any], threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function from what :func:`prepare` gives to the engine's output."""
    path = HERE / manifest["entry"]
    engine = manifest["engine"]
    if engine == "onnx" or engine.startswith("onnxruntime"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        wanted = {"onnxruntime-cuda": "CUDAExecutionProvider", "onnxruntime-tensorrt": "TensorrtExecutionProvider"}
        providers = [wanted[engine]] if engine in wanted else []
        session = onnxruntime.InferenceSession(str(path), options, providers=[*providers, "CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        return lambda image: session.run(None, {name: image})[0]
    if engine == "openvino":
        import openvino

        hint = {"fp16": "f16", "bf16": "bf16"}.get(manifest["precision"], "f32")
        config = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": hint,
        }
        model = openvino.Core().compile_model(str(path), "CPU", config)
        return lambda image: model(image)[0]
    sys.exit(f"this script runs onnxruntime and openvino, not {engine}")


def prepare(image: Image.Image, manifest: dict[str, Any]) -> np.ndarray:
    """A Pillow image as the engine takes it: float32 normalised, or uint8 where the engine normalises itself."""
    wanted = manifest["input"]
    if wanted["layout"] == "NHWC":
        height, width = wanted["shape"][1:3]
    else:
        height, width = wanted["shape"][2:]
    pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))
    batch = max(1, wanted["shape"][0])  # an engine of a fixed batch gets the image that often
    if wanted["dtype"] == "uint8":
        return np.repeat(pixels[None], batch, axis=0)
    mean, std = (np.array(wanted[key], np.float32) * np.float32(255) for key in ("mean", "std"))
    values = (pixels.astype(np.float32) - mean) / std
    return np.repeat(values.transpose(2, 0, 1)[None], batch, axis=0)


def colours_of(manifest: dict[str, Any]) -> np.ndarray:
    """uint8 (256, 3): the colour of each label."""
    given = [item["color"] for item in manifest["classes"]]
    spread = np.random.default_rng(0).integers(40, 256, (256, 3), dtype=np.uint8)
    for label, colour in enumerate(given[:256]):
        spread[label] = colour
    return spread


def segment(run: Callable[[np.ndarray], np.ndarray], image: Image.Image, manifest: dict[str, Any]) -> np.ndarray:
    """Labels uint8 (H, W) at the engine's size."""
    output = run(prepare(image, manifest))
    labels = output[0] if output.dtype == np.uint8 else output[0].argmax(0)
    return np.asarray(labels, np.uint8)


def paint(labels: np.ndarray, image: Image.Image, colours: np.ndarray, overlay: float) -> Image.Image:
    """The coloured mask at the image's size, blended over it by the share ``overlay`` of the mask (1: mask alone)."""
    mask = Image.fromarray(colours[labels]).resize(image.size, Image.Resampling.NEAREST)
    return mask if overlay >= 1 else Image.blend(image.convert("RGB"), mask, overlay)


def files_of(inputs: list[str]) -> Iterator[Path]:
    for given in map(Path, inputs):
        if given.is_dir():
            yield from sorted(path for path in given.iterdir() if path.suffix.lower() in IMAGES)
        else:
            yield given


def masks_of(images: list[Path], folder: Path) -> list[Path]:
    """Where the mask of each image goes; none may take the place of an image, or of another's mask."""
    given = {path.resolve() for path in images}
    drawn: dict[Path, Path] = {}
    for path in images:
        mask = folder / f"{path.stem}.png"
        if mask.resolve() in given:
            sys.exit(f"the mask of {path} would take the place of the image {mask}: choose another folder with -o")
        if mask in drawn:
            sys.exit(f"{drawn[mask]} and {path} would both be drawn into {mask}: draw them into different folders")
        drawn[mask] = path
    return list(drawn)


def frames_of(arguments: argparse.Namespace) -> Iterator[tuple[Path, Image.Image]]:
    """(where its mask goes, Pillow image) of everything that was asked for."""
    if arguments.camera is None:
        images = list(files_of(arguments.images))
        for path, mask in zip(images, masks_of(images, arguments.out), strict=True):
            try:
                yield mask, Image.open(path).convert("RGB")
            except (OSError, SyntaxError) as error:
                sys.exit(f"{path} cannot be read: {error}")
        return
    import cv2

    camera = cv2.VideoCapture(arguments.camera)
    for number in range(arguments.frames):
        there, frame = camera.read()
        if not there:
            sys.exit(f"camera {arguments.camera} gave no frame {number}")
        yield arguments.out / f"frame{number:05d}.png", Image.fromarray(frame[:, :, ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", help="image files or folders")
    parser.add_argument("-o", "--out", type=Path, default=Path("masks"), help="folder for the coloured masks")
    parser.add_argument(
        "--overlay", type=float, default=1.0, help="share of the mask over the image; 1: the mask alone"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--camera", type=int, help="number of a camera")
    parser.add_argument("--frames", type=int, default=100, help="frames to take from the camera")
    arguments = parser.parse_args()
    if not arguments.images and arguments.camera is None:
        parser.error("give images, a folder or --camera")
    manifest = json.loads((HERE / "hwnas.json").read_text(encoding="utf-8"))
    run = open_engine(manifest, arguments.threads)
    colours = colours_of(manifest)
    arguments.out.mkdir(parents=True, exist_ok=True)
    spent, count = 0.0, 0
    for mask, image in frames_of(arguments):
        start = time.perf_counter()
        labels = segment(run, image, manifest)
        spent, count = spent + time.perf_counter() - start, count + 1
        paint(labels, image, colours, arguments.overlay).save(mask)
    if not count:
        sys.exit("no image was found")
    print(f"{count} masks in {arguments.out}, {1e3 * spent / count:.2f} ms an image from pixels to labels")


if __name__ == "__main__":
    main()
