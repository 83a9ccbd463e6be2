"""create met museum seed tables

Revision ID: 00e9b3375a5f
Revises:
Create Date: 2025-01-15 10:30:00.000000

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision: str = "00e9b3375a5f"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

column_comment_dict = {
    "object_id": "The museum's number for the object; the same object has the same number in every table.",
    "title": "What the museum calls the object.",
    "artist_display_name": "Name of the artist or maker as the museum shows it.",
    "period": "Time or dynasty the object is assigned to.",
    "culture": "Culture or people from which the object comes.",
    "object_date": "When the object was made, in words; a year, a span or an estimate.",
    "medium": "Materials and technique.",
    "dimensions": "Size in words, each part of the object on a line of its own.",
    "classification": "General kind of object.",
    "gallery_number": "Gallery in which the object is on view; digits or words.",
    "department": "Department of the museum that looks after the object.",
    "accession_number": "Number under which the museum took the object into its collection; not always unique.",
    "tags": "Subject keywords, one JSON object each: the term and its addresses at Getty AAT and Wikidata.",
    "primary_image": "URL to the primary image of the object (JPEG).",
    "additional_images": "URLs to further images of the object (JPEG).",
    "is_public_domain": "Whether the object is free of copyright; NULL where that is not known.",
    "metadata_date": "When the museum last changed the record, in UTC.",
    "created_at": "When this row was written to this database.",
}


def upgrade() -> None:
    """Upgrade schema."""
    op.create_table(
        "object",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "title",
            sa.Text,
            comment=column_comment_dict["title"]
        ),
        sa.Column(
            "artist_display_name",
            sa.Text,
            comment=column_comment_dict["artist_display_name"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )
    op.create_table(
        "object_history",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "period",
            sa.Text,
            comment=column_comment_dict["period"]
        ),
        sa.Column(
            "culture",
            sa.Text,
            comment=column_comment_dict["culture"]
        ),
        sa.Column(
            "object_date",
            sa.Text,
            comment=column_comment_dict["object_date"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )
    op.create_table(
        "object_physical_properties",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "medium",
            sa.Text,
            comment=column_comment_dict["medium"]
        ),
        sa.Column(
            "dimensions",
            sa.Text,
            comment=column_comment_dict["dimensions"]
        ),
        sa.Column(
            "classification",
            sa.Text,
            comment=column_comment_dict["classification"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )
    op.create_table(
        "object_gallery_info",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "gallery_number",
            sa.Text,
            comment=column_comment_dict["gallery_number"]
        ),
        sa.Column(
            "department",
            sa.Text,
            comment=column_comment_dict["department"]
        ),
        sa.Column(
            "accession_number",
            sa.Text,
            comment=column_comment_dict["accession_number"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )
    op.create_table(
        "object_tags",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "tags",
            ARRAY(sa.JSON),
            comment=column_comment_dict["tags"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )
    op.create_table(
        "object_images",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "primary_image",
            sa.Text,
            comment=column_comment_dict["primary_image"]
        ),
        sa.Column(
            "additional_images",
            ARRAY(sa.Text),
            comment=column_comment_dict["additional_images"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )
    op.create_table(
        "object_copyright",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "primary_image",
            sa.Text,
            comment=column_comment_dict["primary_image"]
        ),
        sa.Column(
            "is_public_domain",
            sa.Boolean,
            comment=column_comment_dict["is_public_domain"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )
    op.create_table(
        "object_api_metadata",
        sa.Column(
            "object_id",
            sa.Integer,
            primary_key=True,
            comment=column_comment_dict["object_id"]
        ),
        sa.Column(
            "metadata_date",
            sa.DateTime,
            comment=column_comment_dict["metadata_date"]
        ),
        sa.Column(
            "created_at",
            sa.DateTime,
            nullable=False,
            server_default=sa.text("CURRENT_TIMESTAMP"),
            comment=column_comment_dict["created_at"]
        ),
    )


def downgrade() -> None:
    """Downgrade schema."""
    op.drop_table("object")
    op.drop_table("object_history")
    op.drop_table("object_physical_properties")
    op.drop_table("object_gallery_info")
    op.drop_table("object_tags")
    op.drop_table("object_images")
    op.drop_table("object_copyright")
    op.drop_table("object_api_metadata")
