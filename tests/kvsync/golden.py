"""Golden values: what version 1 of the formats is, in tests and docs/record-format.md alike."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from kvsync.key import asset_key
from kvsync.record import Approval, Check, Original, PromptRecipe, RecordBody
from kvsync.signing import SigningKey

NOW = 1_790_000_000

KEYS: list[tuple[str, str, str, str]] = [
    # rule, target as sent, canonical path?query, key for property "shop"
    (
        "as it is",
        "/a.jpg",
        "/a.jpg?",
        "7c78f7057c710124923cbb526c129950",
    ),
    (
        "hosts are not in the key, parameters are",
        "/a.jpg?v=2",
        "/a.jpg?v=2",
        "67615fcaf3c04cd45ecd7427c3b9d04d",
    ),
    (
        "names are sorted",
        "/a.jpg?view=top&v=2",
        "/a.jpg?v=2&view=top",
        "4f9acb62b678586cb378f611aef22008",
    ),
    (
        "an ignored parameter is dropped",
        "/a.jpg?utm=x&v=2&utm=y",
        "/a.jpg?v=2",
        "67615fcaf3c04cd45ecd7427c3b9d04d",
    ),
    (
        "a rendition parameter is set apart",
        "/a.jpg?w=384&v=2",
        "/a.jpg?v=2",
        "67615fcaf3c04cd45ecd7427c3b9d04d",
    ),
    (
        "v is v=",
        "/a.jpg?v",
        "/a.jpg?v=",
        "ec3490adc407cdca7fbdb35841734c5b",
    ),
    (
        "an empty value is a value",
        "/a.jpg?v=",
        "/a.jpg?v=",
        "ec3490adc407cdca7fbdb35841734c5b",
    ),
    (
        "empty parts are dropped",
        "/a.jpg?&&v=2&",
        "/a.jpg?v=2",
        "67615fcaf3c04cd45ecd7427c3b9d04d",
    ),
    (
        "+ is a space in a query",
        "/a.jpg?v=a+b",
        "/a.jpg?v=a%20b",
        "0a10cac07ab0e0b8e4ba38542cc95719",
    ),
    (
        "%20 is a space too",
        "/a.jpg?v=a%20b",
        "/a.jpg?v=a%20b",
        "0a10cac07ab0e0b8e4ba38542cc95719",
    ),
    (
        "%2B is a plus",
        "/a.jpg?v=a%2bb",
        "/a.jpg?v=a%2Bb",
        "d03412017fec9f47bac4c14f99284c1b",
    ),
    (
        "+ in a path is a plus",
        "/a+b.jpg",
        "/a+b.jpg?",
        "a2575444f01a5f054b457cd5b8b567e5",
    ),
    (
        "; is data",
        "/a.jpg?v=1;view=2",
        "/a.jpg?v=1%3Bview%3D2",
        "edb885fe27de19e4a7c207e10c38331e",
    ),
    (
        "the second = is data",
        "/a.jpg?v=1=2",
        "/a.jpg?v=1%3D2",
        "217d60266a2197af6c4c76b3bf14538c",
    ),
    (
        "escaped letters are letters",
        "/%61.jpg?%76=%32",
        "/a.jpg?v=2",
        "67615fcaf3c04cd45ecd7427c3b9d04d",
    ),
    (
        "escapes are upper case",
        "/caf%c3%a9.jpg",
        "/caf%C3%A9.jpg?",
        "d9263d207183a1afba85b5131f44b08e",
    ),
    (
        "raw UTF-8 is escaped",
        "/café.jpg",
        "/caf%C3%A9.jpg?",
        "d9263d207183a1afba85b5131f44b08e",
    ),
    (
        "%2F is no slash",
        "/a%2fb.jpg",
        "/a%2Fb.jpg?",
        "76c9d8f403ad2663406ad50b9828df62",
    ),
    (
        "a double slash is kept",
        "//a//b.jpg",
        "//a//b.jpg?",
        "e642ba59ed3489712696302fd43b3347",
    ),
    (
        "case of the path counts",
        "/A.jpg",
        "/A.jpg?",
        "ff55074091ca42e45ecb9b6f7ac216a7",
    ),
    (
        "double escapes stay",
        "/%252e.jpg",
        "/%252e.jpg?",
        "98af7e3dafabf183ca928ba4dbd6abca",
    ),
]


def example_body() -> RecordBody:
    """The record of one asset of the sample, its digests as long as in life."""
    return RecordBody(
        kind="still",
        key=asset_key("1\nshop\n/rumba/red-white-three-quarter.jpg\n"),
        property="shop",
        family="rumba",
        seq=7,
        recipe=PromptRecipe(
            model=bytes(range(32)),
            prompt="rumba shoe, red laces, white sole, three-quarter view",
            seed=1_985_738_629,
            width=768,
            height=768,
            steps=4,
        ),
        checks=(Check(0, "grid1", bytes(range(112))),),
        original=Original('"5f2b1c-b7a4"', bytes(range(32, 64)), "image/jpeg", 50_412),
        approval=Approval(b"approver", NOW - 60, 88.6, 0.7),
        not_after=NOW + 86_400,
    )


def example_fitted_body() -> RecordBody:
    """The record of one studio shot: the same, with a payload of 27 latents."""
    body = example_body()
    plain = replace(body.recipe, prompt="red lace, white sole", seed=0, steps=1)
    payload = bytes([1]) + bytes(range(54))
    return replace(body, family="rumba-studio", recipe=plain.with_payload(payload))


def example_kept_body() -> RecordBody:
    """The same with 4096 bytes in their place, which are too many for a record."""
    body = example_fitted_body()
    payload = bytes(at % 251 for at in range(4_096))
    return replace(body, recipe=body.recipe.with_payload(payload).as_signed())


def example_key() -> SigningKey:
    """A signing key that everybody knows: for examples only."""
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
