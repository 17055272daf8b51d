"""The JSON methods on buckets and objects that move no bytes."""

from collections.abc import Mapping
from typing import Any, Final

from homeport.api import storage_json
from homeport.api.storage_requests import Call, page_start, page_token
from homeport.errors import InvalidArgumentError, NotFoundError, UnimplementedError
from homeport.registry.buckets import Buckets
from homeport.resources.bucket import NewObject, ObjectQuery, ObjectRef

Json = dict[str, Any]

_MAX_PAGE: Final = 1000  # GCS Objects: list, maxResults


class BucketMethods:
    """One method for each method of the API; each blocks and returns the response.

    Args:
        buckets: The verbs.
    """

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def insert_bucket(self, call: Call, body: Json) -> Json:
        """Buckets: insert."""
        name = body.get("name")
        location = body.get("location") or "US"
        if not isinstance(name, str) or not isinstance(location, str):
            raise InvalidArgumentError("a new bucket needs a name, a string")
        properties = storage_json.bucket_properties(body)
        created = self._buckets.create_bucket(
            name,
            project=call.query.get("project", ""),
            location=location,
            properties=storage_json.merged({}, properties),
        )
        return storage_json.bucket(created, call.base_url)

    def list_buckets(self, call: Call, body: Json) -> Json:
        """Buckets: list."""
        del body
        limit = _page_size(call)
        found = self._buckets.list_buckets(
            call.query.get("project", ""),
            prefix=call.query.get("prefix", ""),
            start=page_start(call.query.get("pageToken", "")),
            limit=limit + 1,
        )
        items = [storage_json.bucket(each, call.base_url) for each in found[:limit]]
        answer: Json = {"kind": "storage#buckets", "items": items}
        if len(found) > limit:
            answer["nextPageToken"] = page_token(found[limit].name)
        return answer

    def get_bucket(self, call: Call, body: Json) -> Json:
        """Buckets: get."""
        del body
        found = self._buckets.get_bucket(call.names[0], call.conditions())
        return storage_json.bucket(found, call.base_url)

    def get_layout(self, call: Call, body: Json) -> Json:
        """Buckets: getStorageLayout."""
        del body
        found = self._buckets.get_bucket(call.names[0])
        return {
            "kind": "storage#storageLayout",
            "bucket": found.name,
            "location": found.location,
            "locationType": "region",
            "hierarchicalNamespace": {"enabled": False},
        }

    def list_managed_folders(self, call: Call, body: Json) -> Json:
        """ManagedFolders: list; no bucket has any."""
        del body
        self._buckets.get_bucket(call.names[0])
        return {"kind": "storage#managedFolders"}

    def patch_bucket(self, call: Call, body: Json) -> Json:
        """Buckets: patch, and update."""
        patch = storage_json.bucket_properties(body)

        def change(properties: Mapping[str, Any]) -> Json:
            known = {} if call.request.method == "PUT" else properties
            return storage_json.merged(known, patch)

        found = self._buckets.patch_bucket(call.names[0], change, call.conditions())
        return storage_json.bucket(found, call.base_url)

    def delete_bucket(self, call: Call, body: Json) -> None:
        """Buckets: delete."""
        del body
        self._buckets.delete_bucket(call.names[0], call.conditions())

    def list_objects(self, call: Call, body: Json) -> Json:
        """Objects: list."""
        del body
        if call.query.get("matchGlob"):
            raise UnimplementedError("matchGlob: list by prefix and delimiter instead")
        query = ObjectQuery(
            bucket=call.names[0],
            prefix=call.query.get("prefix", ""),
            delimiter=call.query.get("delimiter", ""),
            start=max(
                page_start(call.query.get("pageToken", "")),
                call.query.get("startOffset", ""),
            ),
            end=call.query.get("endOffset", ""),
            with_trailing_delimiter=call.flag("includeTrailingDelimiter"),
        )
        page = self._buckets.list_objects(query, limit=_page_size(call))
        base_url = call.base_url
        answer: Json = {"kind": "storage#objects"}
        if call.flag("softDeleted"):
            # What was deleted is gone; these are not to be taken for it.
            return answer
        if page.objects:
            answer["items"] = [
                storage_json.stored_object(each, base_url) for each in page.objects
            ]
        if page.prefixes:
            answer["prefixes"] = list(page.prefixes)
        if page.next_start:
            answer["nextPageToken"] = page_token(page.next_start)
        return answer

    def get_object(self, call: Call, body: Json) -> Json:
        """Objects: get, without alt=media."""
        del body
        if call.flag("softDeleted"):
            raise NotFoundError(
                f"gs://{'/'.join(call.names)} is not there as a deleted object: what "
                "is deleted is not kept"
            )
        found = self._buckets.get_object(call.object_ref())
        return storage_json.stored_object(found, call.base_url)

    def patch_object(self, call: Call, body: Json) -> Json:
        """Objects: patch, and update."""
        patch = storage_json.object_properties(body)

        def change(properties: Mapping[str, Any]) -> Json:
            known = {} if call.request.method == "PUT" else properties
            return storage_json.merged(known, patch)

        found = self._buckets.patch_object(call.object_ref(), change)
        return storage_json.stored_object(found, call.base_url)

    def delete_object(self, call: Call, body: Json) -> None:
        """Objects: delete."""
        del body
        self._buckets.delete_object(call.object_ref())

    def copy_object(self, call: Call, body: Json) -> Json:
        """Objects: copy."""
        bucket, name, to_bucket, to_name = call.names
        properties = storage_json.merged({}, storage_json.object_properties(body))
        source = ObjectRef(
            bucket, name, call.number("sourceGeneration"), call.conditions("ifSource")
        )
        target = NewObject(to_bucket, to_name, properties, call.conditions())
        copied = self._buckets.copy_object(
            source, target, keep_properties=not properties
        )
        return storage_json.stored_object(copied, call.base_url)

    def rewrite_object(self, call: Call, body: Json) -> Json:
        """Objects: rewrite; one call always does all of it."""
        resource = self.copy_object(call, body)
        return {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": resource["size"],
            "objectSize": resource["size"],
            "done": True,
            "resource": resource,
        }


def _page_size(call: Call) -> int:
    return min(call.number("maxResults") or _MAX_PAGE, _MAX_PAGE)
