"""
Build the images of predictor and transformer with docker or podman, and push them; or that of scripts/score alone.

Each image is tagged with the version that the manifests name and with what `git describe` says. At the end stand tag,
size and digest of each; after --push the digest is the registry's, for an overlay's `images`.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from image import source
from image.builder import Builder, Failure, Image, find

SERVICES = ("predictor", "transformer")
EPILOG = """\
environment:
  TORCH_INDEX   an extra package index to look for torch on, such as PyTorch's own for CPU builds. Unset: pip's own
                configuration decides. A torch for CUDA, which PyPI's is on Linux, is refused.
"""

# tag, size, digest
Row = tuple[str, str, str]


def main() -> None:
    """
    Build what is asked for; an error is one line.
    """
    flags, options = _flags(sys.argv[1:])
    try:
        builder = find(flags.builder)
        services = [flags.only] if flags.only else SERVICES
        rows = [row for service in services for row in _build(builder, service, flags, options)]
    except Failure as failure:
        sys.exit(f"scripts/build: {failure}")
    width = max(len(tag) for tag, _, _ in rows)
    for tag, size, digest in rows:
        print(f"{tag:<{width}}  {size:>7}  {digest}")


def _build(builder: Builder, service: str, flags: argparse.Namespace, options: Sequence[str]) -> list[Row]:
    """
    Build, and push, a service's image.

    Returns:
        a row for each of its tags; for several platforms, of which each has a size of its own, they stand there.
    """
    suffix = f"-{flags.extras}" if flags.extras and service == "predictor" else ""
    tags = _tags(service, flags.push, suffix)
    image = Image(f"Dockerfile.{service}", tags, _arguments(service, flags), options)
    if flags.platform:
        digest = builder.build_and_push(image, flags.platform)
        return [(tag, flags.platform, digest) for tag in image.tags]
    builder.build(image)
    digest_of = builder.push if flags.push else builder.digest
    return [(tag, f"{builder.size(tag) / 1e6:.0f} MB", digest_of(tag)) for tag in image.tags]


def _tags(service: str, registry: str | None, suffix: str) -> list[str]:
    name = f"{registry}/sentiment-{service}" if registry else f"sentiment-{service}"
    return [f"{name}:{tag}{suffix}" for tag in dict.fromkeys((source.version(), source.description())) if tag]


def _arguments(service: str, flags: argparse.Namespace) -> dict[str, str]:
    given = {"VERSION": source.version(), "REVISION": source.revision()}
    if service != "transformer":
        given["TORCH_INDEX"] = os.environ.get("TORCH_INDEX", "")
        if flags.model:
            given |= {"MODEL": flags.model, "MODEL_SHA256": flags.model_sha256}
    if service == "predictor" and flags.extras:
        given["EXTRAS"] = flags.extras
    return given


def _flags(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """
    Our own flags, and the builder's behind `--`.
    """
    end = words.index("--") if "--" in words else len(words)
    parser = _parser()
    flags = parser.parse_args(words[:end])
    if flags.platform and not flags.push:
        parser.error("--platform needs --push: only a registry keeps an image of several platforms")
    if bool(flags.model) != bool(flags.model_sha256):
        parser.error("--model and --model-sha256 go together")
    return flags, words[end + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/build",
        usage="%(prog)s [option ...] [-- builder's option ...]",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--only", choices=(*SERVICES, "score"), help="build this image alone; score: for manifests/score"
    )
    parser.add_argument(
        "--push", type=_registry, metavar="REGISTRY", help="tag the images for a registry and push them"
    )
    parser.add_argument("--platform", metavar="OS/ARCH,...", help="build for these platforms; needs --push")
    parser.add_argument("--builder", choices=("docker", "podman"), help="default: the first that can be used")
    parser.add_argument(
        "--model", metavar="OWNER/NAME@COMMIT", help="a model of the Hugging Face hub instead of the embedded one"
    )
    parser.add_argument("--model-sha256", metavar="HEX", help="the SHA-256 of its model.safetensors")
    parser.add_argument(
        "--extras", metavar="NAME", help="an extra of pyproject.toml for the predictor, and for its tags: ray"
    )
    return parser


def _registry(argument: str) -> str:
    if "://" in argument or not argument.strip("/"):
        raise argparse.ArgumentTypeError("must be host[:port][/path], without a scheme")
    return argument.strip("/")


if __name__ == "__main__":
    main()
