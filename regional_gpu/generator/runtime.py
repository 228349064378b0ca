"""What decides how a model's arithmetic comes out on this machine, by name and as one digest.

Two processes with the same digest make the same pixels, as far as anything listed here can tell;
another digest is the reason to regenerate approved records before a model is offered again.
"""

import hashlib
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "numpy", "diffusers", "transformers", "safetensors")
# Each picks other kernels, or another order of the same sums.
KERNEL_SETTINGS = (
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "MKL_CBWR",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
)
_SOURCE = Path(__file__).parent


@dataclass(frozen=True)
class Runtime:
    """Facts by name, sorted."""

    facts: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        """BLAKE2b-128 of the facts, in hex."""
        lines = "\n".join(f"{name}={value}" for name, value in self.facts)
        return hashlib.blake2b(lines.encode(), digest_size=16).hexdigest()

    def changes(self, other: "Runtime") -> list[str]:
        """The names of the facts in which the two differ."""
        return sorted({name for name, _ in set(self.facts) ^ set(other.facts)})


def read_runtime(device: str) -> Runtime:
    """The runtime of the calling thread: torch keeps its number of threads by thread."""
    import torch

    facts = {
        "machine": platform.machine(),
        "processor": processor_name(),
        "device": device,
        "threads": str(torch.get_num_threads()),
        "dtype": str(torch.get_default_dtype()),
        "float32 products": torch.get_float32_matmul_precision(),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": str(torch.backends.mkldnn.enabled),
        "generator": source_digest(),
        **{f"library {name}": _version(name) for name in LIBRARIES},
        **{f"setting {name}": os.environ.get(name, "") for name in KERNEL_SETTINGS},
    }
    if device.startswith("cuda"):
        card = torch.cuda.get_device_properties(torch.device(device))
        facts |= {
            "gpu": f"{card.name}, compute {card.major}.{card.minor}",
            "cuda": str(torch.version.cuda),
            "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
            "kernels by trial": str(torch.backends.cudnn.benchmark),
            "tf32": f"{torch.backends.cuda.matmul.allow_tf32}, {torch.backends.cudnn.allow_tf32}",
        }
    return Runtime(tuple(sorted(facts.items())))


def processor_name() -> str:
    """The processor's model, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def source_digest() -> str:
    """BLAKE2b-64 over this package's own modules: a new version computes otherwise."""
    hasher = hashlib.blake2b(digest_size=8)
    for path in sorted(_SOURCE.glob("*.py")):
        hasher.update(path.name.encode() + b"\0" + path.read_bytes())
    return hasher.hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.distribution(name).version
    except metadata.PackageNotFoundError:
        return "absent"
