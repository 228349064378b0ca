from regional_gpu.service.lru import ByteLru


def test_the_least_recently_used_leaves_first() -> None:
    held: ByteLru[str] = ByteLru(100)
    assert held.put(b"a", "A", 40) == held.put(b"b", "B", 40) == []
    held.get(b"a")
    assert held.put(b"c", "C", 40) == [b"b"]
    assert held.get(b"a") == "A" and held.get(b"b") is None and held.bytes_held == 80


def test_one_large_value_can_push_out_several() -> None:
    held: ByteLru[str] = ByteLru(100)
    for name in (b"a", b"b", b"c"):
        held.put(name, "x", 30)
    assert held.put(b"d", "x", 70) == [b"a", b"b"]
    assert held.bytes_held == 100


def test_putting_again_replaces_the_size() -> None:
    held: ByteLru[str] = ByteLru(100)
    held.put(b"a", "A", 90)
    held.put(b"a", "A", 20)
    assert held.bytes_held == 20 and b"a" in held


def test_what_is_too_large_alone_is_not_held() -> None:
    held: ByteLru[str] = ByteLru(100)
    assert held.put(b"a", "A", 101) == [b"a"]
    assert held.bytes_held == 0 and b"a" not in held
