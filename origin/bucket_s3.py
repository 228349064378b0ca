"""The origin's bucket on S3 or anything that speaks its protocol."""

from origin.s3 import S3_ERRORS, S3Place, is_not_found


class S3Bucket:
    """A :class:`origin.bucket.Bucket` on an :class:`origin.s3.S3Place`."""

    def __init__(self, url: str, endpoint_url: str | None = None) -> None:
        self._place = S3Place(url, endpoint_url)

    def read(self, name: str) -> bytes | None:
        place = self._place
        try:
            return place.client.get_object(Bucket=place.bucket, Key=place.prefix + name)[
                "Body"
            ].read()
        except S3_ERRORS as error:
            if is_not_found(error):
                return None
            raise place.unavailable(name, error) from error

    def write(self, name: str, data: bytes) -> None:
        place = self._place
        try:
            place.client.put_object(Bucket=place.bucket, Key=place.prefix + name, Body=data)
        except S3_ERRORS as error:
            raise place.unavailable(name, error) from error

    def names(self, folder: str) -> set[str]:
        return {name.removeprefix(f"{folder}/") for name, _ in self._place.listed(f"{folder}/")}

    def remove(self, folder: str, names: set[str]) -> None:
        place = self._place
        for name in names:
            key = f"{place.prefix}{folder}/{name}"
            try:
                place.client.delete_object(Bucket=place.bucket, Key=key)
            except S3_ERRORS as error:
                raise place.unavailable(f"{folder}/{name}", error) from error
