"""Our noise in the place of the framework's, wherever inside a pipeline it is drawn.

Schedulers that draw at every step (ancestral Euler, LCM) take their noise from torch, on a device
whose own generator differs from model to model. Within :class:`PhiloxNoise` those calls get the
portable normals of :mod:`regional_gpu.generator.philox` instead.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from kvsync.errors import ModelError
from regional_gpu.generator.philox import torch_normals

# Randomness of another kind than normals by shape: no portable version of it is specified.
OTHERS: frozenset[Callable[..., Any]] = frozenset(
    {
        torch.bernoulli,
        torch.multinomial,
        torch.normal,
        torch.poisson,
        torch.rand,
        torch.rand_like,
        torch.randint,
        torch.randint_like,
        torch.randperm,
        torch.Tensor.bernoulli_,
        torch.Tensor.exponential_,
        torch.Tensor.normal_,
        torch.Tensor.random_,
        torch.Tensor.uniform_,
    }
)


class PhiloxNoise(TorchFunctionMode):
    """While entered, on this thread, the n-th draw of normals is step n of each row's seed.

    Rows of a batch keep their noise whatever the batch: row i of (len(seeds), …) is that of
    ``seeds[i]`` alone. Raises :class:`ModelError` for a draw of any other kind or batch.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self._seeds, self._step = tuple(seeds), 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.randn:
            shape = kwargs.get("size") or (args if isinstance(args[0], int) else args[0])
            return self._draw(tuple(shape), kwargs.get("device"), kwargs.get("dtype"))
        if func is torch.randn_like:
            like = args[0]
            device, dtype = kwargs.get("device"), kwargs.get("dtype")
            return self._draw(tuple(like.shape), device or like.device, dtype or like.dtype)
        if func in OTHERS:
            raise ModelError(
                f"the model draws by {func.__name__}, which comes out otherwise on other hardware; "
                "use a sampler that draws normals"
            )
        return func(*args, **kwargs)

    def _draw(
        self, shape: tuple[int, ...], device: torch.device | str | None, dtype: torch.dtype | None
    ) -> Tensor:
        if shape[0] != len(self._seeds):
            raise ModelError(f"the model draws noise of shape {shape} for {len(self._seeds)} seeds")
        count = 1
        for length in shape[1:]:
            count *= length
        step, self._step = self._step, self._step + 1
        where = torch.get_default_device() if device is None else device
        rows = [torch_normals(seed, step, count, where) for seed in self._seeds]
        return torch.stack(rows).reshape(shape).to(dtype or torch.get_default_dtype())
