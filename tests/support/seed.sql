-- A database of some size for the tests that look at plans: large enough that reading a whole table
-- would be the wrong way, with one merchant who has most of it and some who have little.

-- What a row must have and is not given is 0, false or empty, whatever columns a table gets later.
CREATE FUNCTION pg_temp.seed(tab regclass, n integer, VARIADIC pairs text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names text := '';
    exprs text := '';
    col record;
    at integer;
BEGIN
    FOR col IN SELECT attname AS name, atttypid::regtype::text AS type, attnotnull AS must FROM pg_attribute
               WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped ORDER BY attnum LOOP
        at := array_position(pairs, col.name::text);
        CONTINUE WHEN at IS NULL AND NOT col.must;
        names := names || CASE names WHEN '' THEN '' ELSE ', ' END || quote_ident(col.name);
        exprs := exprs || CASE exprs WHEN '' THEN '' ELSE ', ' END || CASE
            WHEN at IS NOT NULL THEN pairs[at + 1]
            WHEN col.type = 'boolean' THEN 'false'
            WHEN col.type IN ('bigint', 'integer', 'smallint') THEN '0'
            ELSE quote_literal('') END;
    END LOOP;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %s) AS i', tab, names, exprs, n);
END $$;
CREATE FUNCTION pg_temp.id(prefix text, i bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT prefix || lpad(i::text, 24, '0') $$;
CREATE FUNCTION pg_temp.owner(i bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT 'acct_' || CASE WHEN i % 10 = 0 THEN 2 + i / 10 % 50 ELSE 1 END $$;

SELECT pg_temp.seed('customer', 20000, 'id', 'pg_temp.id(''cus_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'name', '''Name '' || md5(i::text)', 'email', 'md5(i::text) || ''@example.com''', 'phone', '''+49'' || i',
    'metadata', 'CASE WHEN i % 4 = 0 THEN ''{"order":"'' || i || ''"}'' END');
SELECT pg_temp.seed('payment_method', 20000, 'id', 'pg_temp.id(''pm_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'customer', 'pg_temp.id(''cus_'', i)');
SELECT pg_temp.seed('payment_intent', 20000, 'id', 'pg_temp.id(''pi_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'status', '''succeeded''', 'amount', '1000 + i', 'currency', '''usd''', 'customer', 'pg_temp.id(''cus_'', i)',
    'latest_charge', 'CASE WHEN i % 10 < 8 THEN pg_temp.id(''ch_'', i) END',
    'metadata', 'CASE WHEN i % 4 = 0 THEN ''{"order":"'' || i || ''"}'' END');
-- Two of ten are what failed before another's succeeded, and what was captured of it before the rest.
SELECT pg_temp.seed('charge', 20000, 'id', 'pg_temp.id(''ch_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'status', 'CASE WHEN i % 10 < 8 THEN ''succeeded'' ELSE ''failed'' END',
    'failure_code', 'CASE WHEN i % 10 >= 8 THEN ''card_declined'' END',
    'amount', '1000 + i', 'currency', '''usd''', 'customer', 'pg_temp.id(''cus_'', i)',
    'balance_transaction', 'CASE WHEN i % 10 < 8 THEN pg_temp.id(''txn_'', i) END',
    'payment_intent', 'pg_temp.id(''pi_'', CASE WHEN i % 10 < 8 THEN i ELSE i - 7 END)', 'captured', 'i % 100 <> 0', 'paid', 'true',
    'hold_until', 'CASE WHEN i % 100 = 0 THEN i END',
    'payment_method_details', '''{"card":{"last4":"4242","exp_year":2030}}''',
    'metadata', 'CASE WHEN i % 4 = 0 THEN ''{"order":"'' || i || ''"}'' END');
SELECT pg_temp.seed('refund', 10000, 'id', 'pg_temp.id(''re_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'status', '''succeeded''', 'amount', '1000', 'charge', 'pg_temp.id(''ch_'', i)', 'payment_intent', 'pg_temp.id(''pi_'', i)',
    'slot', 'i % 1024', 'follow_at', 'CASE WHEN i % 100 = 0 THEN i END');
SELECT pg_temp.seed('balance_transaction', 20000, 'id', 'pg_temp.id(''txn_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'amount', '1000', 'net', '1000', 'currency', '''usd''', 'type', '''charge''', 'source', 'pg_temp.id(''ch_'', CASE WHEN i % 10 < 8 THEN i ELSE i - 7 END)',
    'final', 'i % 10 < 8',
    'status', 'CASE WHEN i % 10 = 0 THEN ''pending'' ELSE ''available'' END', 'available_on', 'i');
SELECT pg_temp.seed('attempt', 20000, 'id', 'pg_temp.id(''att_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'state', '''approved''', 'operation', '''authorize''', 'amount', '1000',
    'payment_intent', 'pg_temp.id(''pi_'', i)', 'slot', 'i % 1024');
-- Every second place has one that is over.
INSERT INTO open_attempt (place, id, merchant, version, created, state, operation, slot, epoch, amount, capture, payment_intent, staged)
    SELECT i, pg_temp.id('att_', CASE WHEN i % 2 = 0 THEN i ELSE 100000 + i END), pg_temp.owner(i), 1, i, 'unknown', 'authorize',
    i, 1, 1000, false, pg_temp.id('pi_', 100000 + i), '\x00ff5c2700'::bytea FROM generate_series(1, 40) i;
UPDATE ledger_leader SET open_until = 40;
SELECT pg_temp.seed('setup_intent', 10000, 'id', 'pg_temp.id(''seti_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'status', '''succeeded''', 'customer', 'pg_temp.id(''cus_'', i)', 'payment_method', 'pg_temp.id(''pm_'', i)');
SELECT pg_temp.seed('setup_attempt', 10000, 'id', 'pg_temp.id(''setatt_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'status', '''succeeded''', 'setup_intent', 'pg_temp.id(''seti_'', i)');
SELECT pg_temp.seed('challenge', 10000, 'id', 'pg_temp.id(''tds_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'state', 'CASE WHEN i % 100 = 0 THEN ''open'' ELSE ''passed'' END', 'expires_at', 'i', 'slot', 'i % 1024',
    'payment_intent', 'pg_temp.id(''pi_'', i)');
SELECT pg_temp.seed('checkout_session', 20000, 'id', 'pg_temp.id(''cs_test_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'status', 'CASE WHEN i % 100 = 0 THEN ''open'' ELSE ''complete'' END', 'expires_at', 'i', 'slot', 'i % 1024',
    'amount_total', '1000', 'customer', 'pg_temp.id(''cus_'', i)', 'payment_intent', 'pg_temp.id(''pi_'', i)');
SELECT pg_temp.seed('token', 10000, 'id', 'pg_temp.id(''tok_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i');
SELECT pg_temp.seed('confirmation_token', 10000, 'id', 'pg_temp.id(''ctoken_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i');
SELECT pg_temp.seed('api_key', 5000, 'id', 'pg_temp.id(''key_'', i)', 'merchant', 'pg_temp.owner(i)',
    'hash', 'sha256(i::text::bytea)');
SELECT pg_temp.seed('merchant', 5000, 'id', '''acct_'' || i', 'merchant', '''acct_'' || i');
SELECT pg_temp.seed('webhook_endpoint', 5000, 'id', 'pg_temp.id(''we_'', i)', 'merchant', '''acct_'' || i',
    'status', '''enabled''', 'enabled_events', '''["*"]''', 'url', '''http://127.0.0.1/''', 'secret', '''whsec_x''');
SELECT pg_temp.seed('resend', 5000, 'id', 'pg_temp.id(''rsd_'', i)', 'merchant', 'pg_temp.owner(i)', 'created', 'i',
    'event', 'pg_temp.id(''evt_'', i)', 'endpoint', 'pg_temp.id(''we_'', i)');
SELECT pg_temp.seed('balance', 5000, 'merchant', '''acct_'' || i', 'account', '3', 'currency', '''usd''', 'amount', '-1');
INSERT INTO outbox SELECT i, 1, pg_temp.id('evt_', i), pg_temp.owner(i), 'charge.succeeded', pg_temp.id('ch_', i),
    '\x008101a27b7d', i, '2026-10-28.endive', NULL, NULL FROM generate_series(1, 40000) AS i;
INSERT INTO delivery (sequence, endpoint, merchant, event, state, tries, next_ms)
    SELECT i, pg_temp.id('we_', i % 20), pg_temp.owner(i), pg_temp.id('evt_', i),
    CASE WHEN i % 100 = 0 THEN 'pending' ELSE 'delivered' END, 1, i FROM generate_series(1, 40000) AS i;
UPDATE dispatch SET sequence = 39000;
UPDATE ledger_leader SET event_head = 40000;
VACUUM ANALYZE;
