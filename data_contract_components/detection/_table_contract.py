"""The contract that describes a table as it is: a contract spec, made from the table's columns in the catalog."""

from typing import Any

from data_contract_components.contract_definition.contract_spec import ELEMENT_PREFIX
from data_contract_components.contract_definition.spec_problems import SPEC_VERSIONS
from data_contract_components.contract_definition.table_lists import TABLE_LISTS, identify_entry
from data_contract_components.detection._get_data_catalog import TABLE_KEY, CatalogColumn

# The keys that have a value for some types only, and these types. Without a value, 1.0.0 omits them, 1.1.0 has null.
TYPE_KEYS = {
    "character_maximum_length": ("character", "character varying", "bit", "bit varying"),
    "numeric_precision": ("smallint", "integer", "bigint", "real", "double precision", "numeric"),
    "numeric_scale": ("numeric",),
    "datetime_precision": ("date", "time", "timestamp", "interval"),
    "interval_type": ("interval",),
    "udt_name": ("USER-DEFINED",),
    "collation_name": ("text", "character", "character varying", "name"),
}
KEYS_OF_1_0 = (
    "primaryKey",
    "data_type",
    "character_maximum_length",
    "numeric_precision",
    "datetime_precision",
    "is_nullable",
    "is_updatable",
)
KEYS_OF_EVERY_TYPE = ("domain_name", "column_default", "is_identity", "is_generated", "unique")
GENERATED_TABLE_KEYS = ("primaryKey", *TABLE_LISTS, "properties")


def generate_contract_spec(
    columns: list[CatalogColumn], descriptions: dict[str, str], spec_version: str, previous: dict[str, Any]
) -> dict[str, Any]:
    """The contract of the table with these `columns`, with everything in `previous` that the database does not decide.

    Without `previous`, the keys that only a person can fill in (`owner`, `doc` and the like) are missing.
    """
    previous_schema = previous.get("schema", {})
    previous_columns = previous_schema.get("properties", {})
    schema = {key: previous_schema[key] for key in ("$schema", "title") if key in previous_schema}
    is_named = spec_version < "1.2.0" or "table_catalog" in previous_schema
    schema |= {key: getattr(columns[0], key) for key in TABLE_KEY if key != "table_catalog" or is_named}
    if spec_version != SPEC_VERSIONS[0]:
        schema["table_type"] = columns[0].table_type
    schema |= {
        key: value for key, value in previous_schema.items() if key not in schema and key not in GENERATED_TABLE_KEYS
    }
    if spec_version >= "1.2.0":
        schema |= _generate_table_keys(columns)
    schema["properties"] = {
        found.column_name: _generate_column(found, descriptions, spec_version, previous_columns.get(found.column_name))
        for found in columns
    }
    return previous | {"spec-version": spec_version, "schema": schema}


def _generate_table_keys(columns: list[CatalogColumn]) -> dict[str, Any]:
    """The promises of the whole table, without what the columns' own `unique` and `references` say."""
    constraints = [constraint for constraint in columns[0].constraints if constraint.reason is None]
    values: dict[str, list[Any]] = {key: [] for key in TABLE_LISTS}
    primary_key: list[str] | None = None
    said = {identify_entry("unique", [column.column_name]) for column in columns}
    for column in columns:
        for target in (column.references or [])[:1]:
            references = target | {"columns": [target["column_name"]]}
            said.add(identify_entry("foreignKeys", {"columns": [column.column_name], "references": references}))
    for constraint in constraints:
        if constraint.key == "primaryKey":
            primary_key = constraint.columns
        elif constraint.key and constraint.identity not in said:
            said.add(constraint.identity)
            values[constraint.key].append(constraint.value)
    return {"primaryKey": primary_key} | {key: entries for key, entries in values.items() if entries}


def _generate_column(
    found: CatalogColumn, descriptions: dict[str, str], spec_version: str, previous: dict[str, Any] | None
) -> dict[str, Any]:
    column: dict[str, Any] = {}
    if previous is None and found.column_name in descriptions:
        column["description"] = descriptions[found.column_name]
    column |= {key: value for key, value in (previous or {}).items() if key not in ("constraints", "array_element")}
    column["constraints"] = _generate_constraints(found, spec_version) | _own_keys(previous, "constraints")
    if found.data_type == "ARRAY":
        column["array_element"] = _generate_element(found, spec_version) | _own_keys(previous, "array_element")
    return column


def _own_keys(previous: dict[str, Any] | None, part: str) -> dict[str, Any]:
    return {key: value for key, value in (previous or {}).get(part, {}).items() if key.startswith("x-")}


def _generate_constraints(found: CatalogColumn, spec_version: str) -> dict[str, Any]:
    constraints = {key: value for key in KEYS_OF_1_0 if (value := getattr(found, key)) is not None}
    if spec_version == SPEC_VERSIONS[0]:
        return constraints
    constraints |= _type_values(found.data_type, found, prefix="")
    constraints |= {key: getattr(found, key) for key in KEYS_OF_EVERY_TYPE}
    constraints["references"] = found.references[0] if found.references else None
    if spec_version >= "1.2.0":
        constraints |= {"physicalType": found.physicalType, "generation_expression": found.generation_expression}
        constraints |= {"fields": found.fields} if found.fields is not None else {}
    return constraints | ({"enum": found.enum} if found.enum is not None else {})


def _generate_element(found: CatalogColumn, spec_version: str) -> dict[str, Any]:
    element = {"data_type": found.array_element_data_type}
    values = _type_values(str(found.array_element_data_type), found, ELEMENT_PREFIX)
    if spec_version == SPEC_VERSIONS[0]:
        return element | {key: value for key, value in values.items() if key in KEYS_OF_1_0 and value is not None}
    element |= values | {"udt_name": found.array_element_udt_name}
    return element | ({"dimensions": found.array_element_dimensions} if found.array_element_dimensions else {})


def _type_values(data_type: str, found: CatalogColumn, prefix: str) -> dict[str, Any]:
    """The values of those keys that apply to this type, null included."""
    kind = data_type.removesuffix(" with time zone").removesuffix(" without time zone")
    keys = (key for key, types in TYPE_KEYS.items() if kind in types)
    return {key: getattr(found, prefix + key) for key in keys if hasattr(found, prefix + key)}
