"""Random contracts of every spec version, and every contract that is in this repository."""

import json
from operator import itemgetter
from typing import Any, cast

from hypothesis import strategies as st

from data_contract_components.contract_definition._json_text import render_json_path
from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX, ContractSpec, find_clauses
from data_contract_components.contract_definition.spec_problems import SPEC_VERSIONS, find_spec_problems
from data_contract_components.contract_definition.waivers import find_waiver_problems
from tests import ROOT
from tests.random_tables import changed_tables, names
from tests.test_cases import CASES

REPOSITORY: list[Any] = [
    *(case.spec() for case in CASES),
    *(
        json.loads(path.read_text())
        for path in sorted(ROOT.glob("*/**/*_contract_spec.json"))
        if path.name != "shared_contract_spec.json" and ".venv" not in path.parts
    ),
]
texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "no",
        "1e3",
        "0o7",
        "1:30",
        "2027-01-31",
        "~",
        "null",
        "",
        " a",
        "a ",
        "a: b",
        "# a",
        "a\n b\n",
        "${HOME}",
        "{table}",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda value: st.lists(value, max_size=3) | st.dictionaries(texts, value, max_size=3),
    max_leaves=5,
)
reasons = texts.filter(str.strip)
days = st.dates().map(str)
own_keys = st.dictionaries(texts.map("x-{}".format), values, max_size=1)


@st.composite
def specs(draw: st.DrawFn) -> Any:
    version = draw(st.sampled_from(SPEC_VERSIONS))
    table = draw(changed_tables())[0].before
    properties: dict[str, Any] = {}
    for name in table.columns:
        promises = table.promises(name, version)
        element = {
            key.removeprefix(ELEMENT_PREFIX): value for key, value in promises.items() if key.startswith(ELEMENT_PREFIX)
        }
        constraints = {key: value for key, value in promises.items() if not key.startswith(ELEMENT_PREFIX)}
        column = draw(
            st.fixed_dictionaries({}, optional={"description": texts, "examples": st.lists(values), "items": values})
        )
        properties[name] = column | {"constraints": constraints} | ({"array_element": element} if element else {})
    schema: dict[str, Any] = {"table_catalog": draw(names), "table_schema": table.schema, "table_name": table.name}
    spec: dict[str, Any] = {"spec-version": version, "name": draw(texts), "namespace": draw(texts), "doc": draw(texts)}
    address = draw(
        st.sampled_from(["postgresql://h:1/d.t", "postgres://h/d.s.t?a=b", "mysql://h/d", "postgresql://h:x/", "a:// "])
    )
    spec |= {"dataAssetResourceName": address, "owner": {"name": draw(texts), "email": draw(texts)}}
    if version > "1.0.0":
        schema |= {"table_type": "BASE TABLE", "additionalColumns": draw(st.booleans())}
        spec["owner"] |= draw(st.fixed_dictionaries({}, optional={"channel": texts})) | draw(own_keys)
        consumer = {"name": texts, "role": st.sampled_from(["reader", "writer"]), "reason": texts}
        spec |= {"consumers": draw(st.lists(st.fixed_dictionaries(consumer), max_size=2))} | draw(own_keys)
        end = {"status": st.sampled_from(["draft", "active", "retired"]), "sunset": days, "replacedBy": texts}
        spec |= draw(st.fixed_dictionaries({}, optional=end))
        spec |= draw(st.sampled_from([{}, {"status": "deprecated", "sunset": "2027-01-31"}]))
        properties[name] |= draw(own_keys)
    if version > "1.1.0":
        target = {key: table.target[key] for key in ("table_schema", "table_name")}
        key = {"columns": [name], "references": target | {"columns": [table.target["column_name"]]}}
        schema |= {
            "unique": [[*properties]],
            "checks": draw(st.lists(texts.filter(str.strip), unique=True, max_size=2)),
        }
        schema |= draw(st.sampled_from([{}, {"foreignKeys": [key]}, {"primaryKey": table.primary_key or None}]))
        schema["additionalConstraints"] = draw(st.booleans())
        spec["owner"] |= draw(st.fixed_dictionaries({}, optional={"github": st.sampled_from(["@org/team", "@user"])}))
        spec |= draw(st.fixed_dictionaries({}, optional={"noticeDays": st.integers(0, 3650)}))
    spec["schema"] = schema | {"properties": properties}
    if version > "1.1.0":
        clauses = [render_json_path(clause.json_path) for clause in find_clauses(cast(ContractSpec, spec))]
        waiver = {"clause": st.sampled_from(clauses), "reason": reasons, "agreedBy": reasons, "until": days}
        waivers = st.lists(st.fixed_dictionaries(waiver), unique_by=itemgetter("clause"), max_size=2)
        spec["waivers"] = draw(waivers)
    return spec


valid_specs = specs().filter(lambda spec: not (find_spec_problems(spec) or find_waiver_problems(spec)))
