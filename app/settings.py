"""Settings: environment variables with the prefix `EFI_`, or a `.env` file beside the service."""

import secrets
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import EmailStr, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What can be set. Every field's environment variable is `EFI_` plus its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="EFI_", env_file=".env", extra="ignore")

    env: Literal["development", "test", "production"] = "development"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Path("data")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    public_url: str = Field(
        default="", description="Where people reach the service, for links in e-mails and the codes on printed cards."
    )

    mongo_url: str = Field(default="", description="Empty: the embedded store under EFI_DATA_DIR.")
    mongo_database: str = Field(default="efi", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    store_cache: str = Field(default="256MB", description="Cache size of the embedded store.")
    store_start_minutes: float = Field(
        default=60, gt=0, description="How long the embedded store may take to replay its log after a crash."
    )

    secret_key: SecretStr = Field(default=SecretStr(""), description="Signs access tokens; 32 characters or more.")
    admin_email: EmailStr = "admin@efi.example.com"
    admin_password: SecretStr = Field(default=SecretStr(""), description="Empty: generated and shown once.")
    access_token_minutes: int = Field(default=15, ge=1, le=24 * 60)
    refresh_token_days: int = Field(default=14, ge=1, le=90)

    phone_region: str = Field(
        default="IN", pattern=r"^[A-Z]{2}$", description="Country (ISO 3166) of phone numbers written without its code."
    )

    sla_critical_hours: float = Field(default=4, ge=0, description="From ticket to resolution; 0 promises nothing.")
    sla_high_hours: float = Field(default=24, ge=0)
    sla_medium_hours: float = Field(default=72, ge=0)
    sla_low_hours: float = Field(default=168, ge=0)
    return_window_days: int = Field(default=30, ge=1, description="A revisit within it takes a success back.")
    evidence_half_life_days: int = Field(default=365, ge=1)
    labour_rate_per_hour: float = Field(default=720, gt=0, description="What an hour in the workshop costs.")
    hand_over_cost: float = Field(
        default=15_000, gt=0, description="Of giving a vehicle up to an expert, beyond the repair that follows."
    )
    repair_in_vain_cost: float = Field(
        default=2000, ge=0, description="Of a repair that does not help, beyond its price: finding out, starting over."
    )
    expensive_part_cost: float = Field(
        default=3000, ge=0, description="From here on, a part is not handed out before a cheap decisive check is made."
    )
    training_min_decisions: int = Field(
        default=200, ge=1, description="Decisions of technicians from which on the calibrated scorer learns from them."
    )
    pattern_window_days: int = Field(default=30, ge=1, le=365, description="Tickets so young may make an incident.")
    pattern_baseline_days: int = Field(
        default=365, ge=1, le=3650, description="The time before, by which it is judged what is unusual."
    )
    pattern_min_vehicles: int = Field(
        default=4, ge=3, description="Alike unexplained tickets make an incident from here."
    )
    pattern_false_discovery_rate: float = Field(
        default=0.01, gt=0, lt=1, description="Share of incidents that may come about by chance."
    )
    pattern_max_tickets: int = Field(
        default=10_000,
        ge=100,
        description="Tickets of the window that are looked at, the newest; before it twice as many.",
    )
    review_after_days: int = Field(
        default=365, ge=1, le=3650, description="Without review or confirmation for so long, a card is due for review."
    )
    match_run_days: int = Field(
        default=90, ge=1, le=3650, description="How long matches that belong to no ticket are kept for replay."
    )
    seed: bool = Field(default=True, description="Load the starter knowledge at the first start on a store.")

    max_body_bytes: int = Field(default=2 * 1024 * 1024, ge=1024)
    max_photo_bytes: int = Field(default=10 * 1024 * 1024, ge=1024, description="Of one photo as it is sent.")
    photo_megapixels: int = Field(default=50, ge=1, le=200, description="Photos with more are not decoded.")
    photo_side_px: int = Field(default=4096, ge=320, le=16_000, description="Longest side of a photo as it is kept.")
    photos_per_ticket: int = Field(default=50, ge=1, le=200)
    process_events: bool = Field(default=True, description="Run the event processor in this process.")
    event_lease_seconds: float = Field(default=30, gt=0)
    event_max_attempts: int = Field(default=8, ge=1)
    index_poll_seconds: float = Field(default=0.5, gt=0, description="How often card changes elsewhere are picked up.")
    index_snapshot_minutes: float = Field(
        default=5, gt=0, description="How often the index is checked against the store and saved, if it has changed."
    )
    embedder: Literal["minilm", "openai", "hashing", "off"] = Field(
        default="minilm", description="What compares meaning: the installed sentence model, a remote one, shared words."
    )

    openai_api_key: SecretStr = SecretStr("")
    openai_base_url: str = Field(default="", description="Empty: OpenAI itself; else any server of its protocol.")
    openai_model: str = "gpt-4.1-mini"
    openai_embedding_model: str = "text-embedding-3-small"
    openai_embedding_dimensions: int = Field(default=512, ge=64, le=4096, multiple_of=64)
    openai_timeout_seconds: float = Field(default=30, gt=0)
    openai_question_timeout_seconds: float = Field(
        default=2, gt=0, description="How long a match waits for the meaning of its text."
    )
    openai_max_retries: int = Field(default=2, ge=0, le=10)

    network_pull_seconds: float = Field(
        default=60, ge=0, description="How often peers are asked for their changes; 0: only when somebody says so."
    )

    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    smtp_from: str = ""
    smtp_starttls: bool = True

    @model_validator(mode="after")
    def _remote_embedder_needs_a_model(self) -> Self:
        if self.embedder == "openai" and not (self.openai_api_key.get_secret_value() or self.openai_base_url):
            raise ValueError("EFI_EMBEDDER=openai needs EFI_OPENAI_API_KEY or EFI_OPENAI_BASE_URL")
        return self

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        """Outside development nothing is generated: a replica must share its key, an admin must be chosen."""
        key = self.secret_key.get_secret_value()
        if key and len(key) < 32:
            raise ValueError("EFI_SECRET_KEY must have at least 32 characters")
        if self.env == "production":
            if not key:
                raise ValueError("EFI_SECRET_KEY must be set in production")
            if not self.admin_password.get_secret_value():
                raise ValueError("EFI_ADMIN_PASSWORD must be set in production")
        return self

    @cached_property
    def signing_key(self) -> str:
        """The key that signs tokens: the set one, or one generated once and kept in the data directory."""
        if key := self.secret_key.get_secret_value():
            return key
        path = self.data_dir / "secret_key"
        if not path.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(48), encoding="ascii")
        return path.read_text(encoding="ascii").strip()
