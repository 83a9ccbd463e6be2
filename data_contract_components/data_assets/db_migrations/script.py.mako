<%
    from json import dumps

    def render(value):
        if isinstance(value, tuple):
            return f"({', '.join(map(render, value))}{',' * (len(value) == 1)})"
        return "None" if value is None else dumps(value)
%>\
"""${message}

Revision ID: ${up_revision}
Revises:${"".join(f" {down_revision}" for down_revision in [comma(down_revision)] if down_revision)}
Create Date: ${create_date}

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
% if imports:
${imports}
% endif

revision: str = ${render(up_revision)}
down_revision: str | Sequence[str] | None = ${render(down_revision)}
branch_labels: str | Sequence[str] | None = ${render(branch_labels)}
depends_on: str | Sequence[str] | None = ${render(depends_on)}


def upgrade() -> None:
    """Upgrade schema."""
% if upgrades:
    ${upgrades}
% endif


def downgrade() -> None:
    """Downgrade schema."""
% if downgrades:
    ${downgrades}
% endif
