"""The sockets' descriptions: every route is in them, and every message fits its schema."""

import jsonschema
import pytest
from starlette.routing import Route
from tests.unit.core.test_attestation import GOOD

from interlock_core.wire import strict
from interlock_core.wire.problem import problem
from interlock_gatekeeper import openapi
from interlock_gatekeeper.engine_api import EngineApi
from interlock_gatekeeper.metrics import Metrics
from interlock_gatekeeper.openapi import schema_of
from interlock_gatekeeper.operator_api import OperatorApi


def routes(app):
    methods = {(m, r.path) for r in app.routes if isinstance(r, Route) for m in r.methods}
    return {(method, path) for method, path in methods if method != "HEAD"}


def test_every_route_is_described():
    """A new route is a new entry: otherwise nothing would test it."""
    engine = EngineApi(None, None, Metrics("paper", "paper"), engine_uid=1).app()
    assert routes(engine) == {(o.method.value, o.path) for o in openapi.ENGINE}
    operator = OperatorApi(None, None, lambda: None).app()
    assert routes(operator) == {(o.method.value, o.path) for o in openapi.OPERATOR}


@pytest.mark.parametrize("operations", [openapi.ENGINE, openapi.OPERATOR])
def test_a_description_holds_valid_schemas(operations):
    """JSON Schema 2020-12, as OpenAPI 3.1 wants it."""
    made = openapi.description("a socket", operations)
    assert made["openapi"] == "3.1.0"
    for operation in operations:
        body = made["paths"][operation.path][operation.method.lower()].get("requestBody")
        if body is not None:
            schema = body["content"]["application/json"]["schema"]
            jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("message", [GOOD, problem(403, "AUTH", "no")])
def test_a_message_fits_its_schema(message):
    """What `strict` writes is what the schema says, with nothing more."""
    schema, plain = schema_of(type(message)), strict.plain(message)
    jsonschema.validate(plain, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**plain, "more": 1}, schema)
