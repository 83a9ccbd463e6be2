import os

SCHEMA = "shop"


def database_url() -> str:
    return os.environ.get("SHOP_DATABASE_URL", "postgresql+asyncpg://localhost/app")
