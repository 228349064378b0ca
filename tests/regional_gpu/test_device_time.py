"""Every second of the process is told once, by what it was for."""

import threading
import time
from collections import Counter

import pytest

from kvsync.ledger import Work
from kvsync.meter import Meter
from regional_gpu.service.device_time import Account, DeviceTime

BOOTS, SHOES = Account("shop", "boots"), Account("shop", "shoes")


def compute(seconds: float) -> str:
    """Keep a core busy for so long, of this thread's CPU time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return "made"


def told(meter: Meter) -> dict[tuple[str, str, str], Counter[str]]:
    """Seconds by part, by property, family and purpose."""
    found = {}
    for (kind, (_, *account)), (_, *seconds) in meter.totals().items():
        assert kind is Work
        parts = dict(zip(("generate", "check", "encode", "other"), seconds, strict=True))
        found[tuple(account)] = Counter(parts)
    return found  # type: ignore[return-value]


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
def device(meter: Meter) -> DeviceTime:
    """Of a process that has been ready for a while."""
    device = DeviceTime(meter)
    device.settle(["shop"])
    device.starting = False
    return device


def test_a_batch_is_shared_by_its_images(device: DeviceTime, meter: Meter) -> None:
    made, took = device.generate([BOOTS, BOOTS, SHOES], compute, 0.03)
    assert made == "made" and took >= 0.03
    sums = meter.totals()
    for account, images in ((BOOTS, 2), (SHOES, 1)):
        counted, seconds, *_ = sums[Work, ("cpu", *account)]
        assert counted == images and seconds == pytest.approx(took * images / 3)


def test_what_failed_took_its_time_all_the_same(device: DeviceTime, meter: Meter) -> None:
    def fail() -> None:
        compute(0.01)
        raise ValueError

    with pytest.raises(ValueError):
        device.run(BOOTS, "check", fail)
    assert told(meter)[BOOTS]["check"] >= 0.01


def test_all_parts_are_the_process_own_time(device: DeviceTime, meter: Meter) -> None:
    workers = [
        threading.Thread(target=device.run, args=(BOOTS, part, compute, 0.05))
        for part in ("check", "encode")
    ]
    for worker in workers:
        worker.start()
    device.generate([SHOES], compute, 0.05)
    compute(0.05)
    for worker in workers:
        worker.join()
    device.settle(["shop"])
    whole = sum(sum(parts.values()) for parts in told(meter).values())
    assert whole == pytest.approx(time.process_time(), abs=0.02)
    assert (
        sum(parts["other"] for account, parts in told(meter).items() if account[2] == "serve") > 0
    )


def test_what_runs_is_not_yet_anybody_elses(device: DeviceTime, meter: Meter) -> None:
    began, end = threading.Event(), threading.Event()

    def slow() -> None:
        compute(0.1)
        began.set()
        end.wait()

    worker = threading.Thread(target=device.run, args=(BOOTS, "check", slow))
    worker.start()
    began.wait()
    device.settle(["shop"])
    other = sum(parts["other"] for account, parts in told(meter).items() if account[2] == "serve")
    end.set()
    worker.join()
    assert other < 0.1 <= told(meter)[BOOTS]["check"]


def test_bringing_a_model_in_is_a_purpose_of_its_own(device: DeviceTime, meter: Meter) -> None:
    before = told(meter)["shop", "", "load"]["other"]
    device.load(compute, 0.05)
    device.settle(["shop"])
    assert told(meter)["shop", "", "load"]["other"] >= before + 0.05


def test_what_is_of_no_property_is_shared_by_all() -> None:
    meter = Meter()
    DeviceTime(meter).settle(["shop", "other"])
    shares = told(meter)
    assert shares["shop", "", "load"] == shares["other", "", "load"]


@pytest.mark.gpu
def test_a_gpu_is_busy_while_a_batch_is_on_it(meter: Meter) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    device = DeviceTime(meter, "cuda:0")

    def multiply() -> None:
        square = torch.ones(4_096, 4_096, device="cuda:0")
        for _ in range(50):
            square = square @ square / 4_096

    begun = time.perf_counter()
    _, took = device.generate([BOOTS], multiply)
    assert 0 < took <= time.perf_counter() - begun
    device.run(BOOTS, "encode", compute, 0.05)
    device.settle(["shop"])
    assert meter.totals() == {(Work, (device.name, *BOOTS)): (1, took, 0.0, 0.0, 0.0)}
