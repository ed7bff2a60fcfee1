-- Who may use HTTP: tokens, each of which stands for a role. src/worker/README.md says how they are used.
CREATE TABLE telemetry.http_token (
    hash        text COLLATE "C" PRIMARY KEY,
    role        text NOT NULL,
    description text,
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz
);
COMMENT ON TABLE telemetry.http_token IS 'Holds the tokens by which HTTP clients act as a role: of each its SHA-256 in hexadecimal digits, and never the token itself. telemetry.create_http_token() makes one, telemetry.revoke_http_token() ends it, telemetry.http_tokens shows them. role is a name, so a token of a role that was dropped or renamed is of no use until a role has that name again.';
SELECT pg_catalog.pg_extension_config_dump('telemetry.http_token', '');
