-- The vault's own database, `florin_vault`. Run as the cluster's superuser, in that database. May be
-- run again and again. The password of the role is set by whoever runs it, from HOME/secrets.
--
-- One table, and one role that may add to it and read it: not change, not delete, not make anything.
-- Nothing in it is of use without HOME/secrets: numbers and expiries are sealed, each under a key of
-- its own, which is sealed under vault_master; `identity` is a keyed hash.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'florin_owner') THEN
        CREATE ROLE florin_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'vault') THEN
        CREATE ROLE vault LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO vault', current_database());
END $$;

CREATE TABLE IF NOT EXISTS card (
    token       text COLLATE "C" PRIMARY KEY,
    merchant    text COLLATE "C" NOT NULL,
    identity    bytea NOT NULL CHECK (octet_length(identity) = 32),
    key_version integer NOT NULL CHECK (key_version > 0),
    wrapped_key bytea NOT NULL CHECK (octet_length(wrapped_key) = 72),
    sealed      bytea NOT NULL CHECK (octet_length(sealed) = 63),
    created     bigint NOT NULL,
    UNIQUE (merchant, identity)
);
COMMENT ON TABLE card IS 'A card number that can be revealed to the network, and to nobody else.';
COMMENT ON COLUMN card.token IS 'card_…: the name by which others know it';
COMMENT ON COLUMN card.merchant IS 'whose; tokens do not cross merchants';
COMMENT ON COLUMN card.identity IS 'keyed hash of merchant, number and expiry: the same card twice is one row';
COMMENT ON COLUMN card.key_version IS 'which vault_master wrapped the key';
COMMENT ON COLUMN card.wrapped_key IS 'the key of this row, under the master key';
COMMENT ON COLUMN card.sealed IS 'number and expiry, under the key of this row';
COMMENT ON COLUMN card.created IS 'Unix seconds';
ALTER TABLE card OWNER TO florin_owner;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO florin_owner, vault;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, vault;
GRANT SELECT, INSERT ON card TO vault;

-- A statement that hangs ends; a transaction that its client forgot ends.
ALTER ROLE vault SET statement_timeout = '5s';
ALTER ROLE vault SET idle_in_transaction_session_timeout = '2s';
