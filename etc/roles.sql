-- One role per process, with the least that it needs. Run last, as the cluster's superuser, in the
-- database `florin`, after tables.sql and schema.sql. May be run again and again. Passwords are set
-- by whoever runs it (ALTER ROLE … PASSWORD), from HOME/secrets.
--
-- Nobody deletes, nobody truncates. ledger_transaction, outbox and attempt can be added to and not be
-- changed: a correction is a new transaction.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['ledger', 'payments', 'webhooks', 'auditor', 'vault'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', name);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'florin_owner') THEN
        CREATE ROLE florin_owner NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE;
    END IF;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO ledger, payments, webhooks, auditor',
                   current_database());
    -- What was made by the superuser becomes the owner's, who cannot log in.
    FOR name IN SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'
        UNION ALL SELECT quote_ident(viewname) FROM pg_views WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE public.%s OWNER TO florin_owner', name);
    END LOOP;
END $$;

ALTER FUNCTION expect(bigint, bigint, text) OWNER TO florin_owner;
ALTER FUNCTION lines_balance(bigint, text, bigint[]) OWNER TO florin_owner;
ALTER FUNCTION search_term(text, text, text) OWNER TO florin_owner;
ALTER FUNCTION search_terms(text, text) OWNER TO florin_owner;
ALTER FUNCTION refunds_to_follow(bigint[], bigint, integer) OWNER TO florin_owner;
ALTER FUNCTION event_at(bigint) OWNER TO florin_owner;
ALTER FUNCTION event_named(text, text) OWNER TO florin_owner;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO florin_owner, ledger, payments, webhooks, auditor;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ledger, payments, webhooks, auditor;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION expect(bigint, bigint, text), lines_balance(bigint, text, bigint[]) TO ledger;
GRANT EXECUTE ON FUNCTION search_term(text, text, text), search_terms(text, text) TO ledger, payments, auditor;
GRANT EXECUTE ON FUNCTION refunds_to_follow(bigint[], bigint, integer) TO payments;
GRANT EXECUTE ON FUNCTION event_at(bigint), event_named(text, text) TO payments, webhooks;

-- ledger: the rows of rows.def, the books, the outbox, the keys, the slots; not the deliveries.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO ledger;
GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO ledger;
REVOKE INSERT ON ledger_leader FROM ledger;
REVOKE UPDATE ON outbox, ledger_transaction, attempt FROM ledger;
REVOKE INSERT, UPDATE ON event FROM ledger;
REVOKE INSERT, UPDATE ON entry, entry_until_version_4 FROM ledger;
REVOKE INSERT, UPDATE ON delivery, delivery_try, dispatch FROM ledger;
REVOKE INSERT, UPDATE ON attempt_under_way, every_attempt, places_in_use FROM ledger;

-- payments: reads what it decides by; writes only through the ledger.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO payments;
REVOKE SELECT ON ledger_leader FROM payments;

-- webhooks: reads the outbox, keeps its deliveries.
GRANT SELECT ON event, outbox, webhook_endpoint, resend TO webhooks;
GRANT SELECT, INSERT, UPDATE ON delivery TO webhooks;
GRANT SELECT, INSERT ON delivery_try TO webhooks;
GRANT SELECT, UPDATE ON dispatch TO webhooks;

-- auditor: sees all, changes nothing.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO auditor;
ALTER ROLE auditor SET default_transaction_read_only = on;

-- A statement that hangs ends; a transaction that its client forgot ends.
-- Never a whole table: what has no index of its own is looked for among the merchant's rows.
ALTER ROLE payments SET enable_seqscan = off;
ALTER ROLE webhooks SET enable_seqscan = off;
-- What is listed is read along an index that has its order, as far as a page goes. A plan for any values takes
-- two bounds of ids for a narrow range, and would sort a merchant's events (4.4 s for 10,000, instead of 0.2 ms).
ALTER ROLE payments SET enable_sort = off;
-- Even a table of one row is dear then, and a compiler that is asked for dear questions alone would
-- be asked for many: it takes longer than a client may wait.
ALTER ROLE payments SET jit = off;
ALTER ROLE webhooks SET jit = off;

ALTER ROLE ledger SET statement_timeout = '5s';
ALTER ROLE payments SET statement_timeout = '5s';
ALTER ROLE webhooks SET statement_timeout = '10s';
ALTER ROLE ledger SET idle_in_transaction_session_timeout = '2s';
ALTER ROLE payments SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE webhooks SET idle_in_transaction_session_timeout = '10s';
