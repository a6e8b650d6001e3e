-- What the ledger keeps beside the rows of tables.sql: the books, the outbox, the keys, the slots,
-- and what the webhooks keep of their deliveries. Run after tables.sql and before roles.sql, in the
-- database `florin`. May be run again and again.
--
-- One process writes all of it but the deliveries (the ledger that leads). What it may not get wrong
-- is refused here too, whatever the program believes: an unbalanced transaction, a stale leader, a
-- row that is not at the version that was to be replaced.

-- --- the leader ------------------------------------------------------------------------------------

-- Every batch updates this row under the leader's epoch: one UPDATE is the fence, the name of the
-- batch, and the heads of the numbers that have no gaps. A successor raises the epoch.
CREATE TABLE IF NOT EXISTS ledger_leader (
    one              boolean PRIMARY KEY DEFAULT true CHECK (one),
    cluster          text COLLATE "C" NOT NULL,
    epoch            bigint NOT NULL,
    holder           text COLLATE "C" NOT NULL,
    backend_pid      integer NOT NULL,
    last_batch       bigint NOT NULL,
    event_head       bigint NOT NULL,
    transaction_head bigint NOT NULL,
    open_until       bigint NOT NULL DEFAULT 0,
    partition        integer,
    partitions       integer
) WITH (fillfactor = 10);
ALTER TABLE ledger_leader ADD COLUMN IF NOT EXISTS open_until bigint NOT NULL DEFAULT 0; -- since version 5
ALTER TABLE ledger_leader ADD COLUMN IF NOT EXISTS partition integer; -- these two since version 6
ALTER TABLE ledger_leader ADD COLUMN IF NOT EXISTS partitions integer;
COMMENT ON TABLE ledger_leader IS 'The one row that says who may write.';
COMMENT ON COLUMN ledger_leader.cluster IS 'which instance of Florin this database belongs to';
COMMENT ON COLUMN ledger_leader.epoch IS 'raised by whoever takes the lead';
COMMENT ON COLUMN ledger_leader.last_batch IS 'number of the last batch that was committed';
COMMENT ON COLUMN ledger_leader.event_head IS 'event.sequence of the last event';
COMMENT ON COLUMN ledger_leader.transaction_head IS 'ledger_transaction.id of the last one';
COMMENT ON COLUMN ledger_leader.open_until IS 'no place of open_attempt above it is in use';
COMMENT ON COLUMN ledger_leader.partition IS 'which of them this database is of (partition.h), since a ledger first led here';
COMMENT ON COLUMN ledger_leader.partitions IS 'how many there are: says which slots'' merchants are here';
INSERT INTO ledger_leader VALUES (true, gen_random_uuid()::text, 0, '', 0, 0, 0, 0)
    ON CONFLICT DO NOTHING;
-- Before there were partitions all merchants were in one.
UPDATE ledger_leader SET partition = 1, partitions = 1 WHERE partition IS NULL AND EXISTS (SELECT FROM merchant);

CREATE TABLE IF NOT EXISTS slot (
    slot        integer PRIMARY KEY CHECK (slot BETWEEN 0 AND 1023),
    epoch       bigint NOT NULL,
    owner       text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL
);
COMMENT ON TABLE slot IS 'Which worker decides for the merchants of a slot.';

-- A wrong number of rows ends the transaction. FL000: another ledger leads. FL001: a row was not
-- what the ledger took it for.
CREATE OR REPLACE FUNCTION expect(actual bigint, wanted bigint, what text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF actual = wanted THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = CASE what WHEN 'ledger_leader' THEN 'FL000' ELSE 'FL001' END,
        MESSAGE = format('%s: %s of %s rows are as expected', what, actual, wanted);
END $$;

-- --- keys and their answers --------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS idempotency (
    merchant     text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
    path         text COLLATE "C" NOT NULL,
    command      bytea NOT NULL,
    request      text COLLATE "C",
    status       smallint,
    body         text COMPRESSION lz4 COLLATE "C",
    created      bigint NOT NULL,
    told         bigint,
    PRIMARY KEY (merchant, key),
    CONSTRAINT idempotency_answered CHECK (num_nonnulls(body, told) = num_nonnulls(status))
);
ALTER TABLE idempotency RESET (fillfactor); -- others in version 2 to 4, when the row was written twice
ALTER TABLE idempotency ADD COLUMN IF NOT EXISTS told bigint; -- since version 3
ALTER TABLE idempotency DROP CONSTRAINT IF EXISTS idempotency_check; -- of version 2, narrower
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'idempotency_answered') THEN
        ALTER TABLE idempotency ADD CONSTRAINT idempotency_answered
            CHECK (num_nonnulls(body, told) = num_nonnulls(status));
    END IF;
END $$;
COMMENT ON TABLE idempotency IS 'Idempotency keys: one effect each, and the answer once it is true.';
COMMENT ON COLUMN idempotency.command IS 'id of the commit that claimed it';
COMMENT ON COLUMN idempotency.request IS 'Request-Id of the first request';
COMMENT ON COLUMN idempotency.status IS 'of the stored answer; absent while the first request goes on';
COMMENT ON COLUMN idempotency.body IS 'of the stored answer, unless an event tells it';
COMMENT ON COLUMN idempotency.told IS 'event.sequence of that event';

-- --- the outbox ----------------------------------------------------------------------------------------

-- A row for each commit that tells of anything, or nearly: event_pack.h (common/proto) says when events share
-- a row, and what `packed` is. Four rows for each payment, with what differed between them, cost 25 µs and
-- 5 kB of WAL. Whoever asks for events by SQL reads the view `event`, a row each.
CREATE TABLE IF NOT EXISTS outbox (
    sequence    bigint PRIMARY KEY,
    count       smallint NOT NULL CHECK (count BETWEEN 1 AND 16),
    id          text COLLATE "C" NOT NULL,
    merchant    text COLLATE "C" NOT NULL,
    types       text COLLATE "C" NOT NULL,
    objects     text COLLATE "C" NOT NULL,
    packed      bytea NOT NULL,
    created     bigint NOT NULL,
    api_version text COLLATE "C" NOT NULL,
    request     text COLLATE "C",
    key         text COLLATE "C"
) WITH (toast_tuple_target = 4080);
ALTER TABLE outbox ALTER COLUMN packed SET STORAGE EXTERNAL;
COMMENT ON TABLE outbox IS 'What happened, numbered without gaps in commit order.';
COMMENT ON COLUMN outbox.sequence IS 'of its first event';
COMMENT ON COLUMN outbox.count IS 'of its events';
COMMENT ON COLUMN outbox.id IS 'of its first event; those of the others end in 1, 2, 3 …';
COMMENT ON COLUMN outbox.types IS 'of its events, with a space between two';
COMMENT ON COLUMN outbox.objects IS 'what each of them tells of, with a space between two';
COMMENT ON COLUMN outbox.packed IS 'what they tell: event_pack.h';

-- The ids of a row's events differ in their last character alone (id_beside), so the first is enough to find
-- them all: 1 entry for a payment's 4 events, in an index that grows in as many places as there are merchants.
CREATE UNIQUE INDEX IF NOT EXISTS outbox_first ON outbox (merchant, id);
-- What every payment tells is met soon by whoever walks from the newest on, and is left out: a payment pays
-- nothing for this index. (common_event.def says the same words, and only events of these types share a row.)
CREATE INDEX IF NOT EXISTS outbox_type ON outbox (merchant, types, id) WHERE count = 1 AND types NOT IN
    ('payment_intent.created', 'charge.succeeded', 'payment_intent.succeeded', 'charge.updated');

-- Until version 5 each event was a row, of which some told only what differed from another one's (differs_from).
-- Each of them becomes a row of the outbox, not packed, with that other one behind it.
DO $$ BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('event')) = 'r' THEN
        DROP FUNCTION IF EXISTS event_named(text, text);
        ALTER TABLE event ADD COLUMN IF NOT EXISTS differs_from bigint; -- since version 3
        CREATE FUNCTION pg_temp.member(tag integer, value text) RETURNS bytea LANGUAGE sql AS $f$
            SELECT set_byte('\x00', 0, tag) || CASE WHEN size < 32 THEN set_byte('\x00', 0, 160 + size)
                WHEN size < 256 THEN set_byte('\xd900', 1, size)
                WHEN size < 65536 THEN '\xda' || substr(int4send(size), 3)
                ELSE '\xdb' || int4send(size) END || convert_to(value, 'UTF8')
            FROM octet_length(value) AS size
        $f$;
        CREATE FUNCTION pg_temp.told(data text, previous text, leans boolean) RETURNS bytea LANGUAGE sql AS $f$
            SELECT set_byte('\x00', 0, 129 + (previous IS NOT NULL)::integer + leans::integer)
                || pg_temp.member(1, data) || coalesce(pg_temp.member(2, previous), '')
                || CASE WHEN leans THEN '\x0302'::bytea ELSE '' END
        $f$;
        INSERT INTO outbox SELECT e.sequence, 1, e.id, e.merchant, e.type, e.object,
            '\x00' || pg_temp.told(e.data, e.previous, w.sequence IS NOT NULL)
                   || coalesce(pg_temp.told(w.data, NULL, false), ''),
            e.created, e.api_version, e.request, e.key
            FROM event e LEFT JOIN event w ON w.sequence = e.differs_from;
        DROP TABLE event;
    END IF;
END $$;

CREATE OR REPLACE VIEW event AS
    SELECT o.sequence + n.nth - 1 AS sequence,
           CASE n.nth WHEN 1 THEN o.id ELSE left(o.id, -1) ||
               substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', n.nth::integer, 1) END AS id,
           o.merchant, n.type, n.object, o.created, o.api_version, o.request, o.key, o.packed, n.nth,
           o.sequence AS first, o.id AS first_id, o.count, o.types
    FROM outbox o CROSS JOIN LATERAL
        ROWS FROM (unnest(string_to_array(o.types, ' ')), unnest(string_to_array(o.objects, ' ')))
        WITH ORDINALITY AS n (type, object, nth);
COMMENT ON VIEW event IS 'Events, a row each.';
COMMENT ON COLUMN event.nth IS 'which it is of its row in the outbox, from 1';
COMMENT ON COLUMN event.first IS 'sequence of the first of that row';

-- The event of that number; the one of that id. (OFFSET 0: in this order, also by a plan that was made while the
-- table was empty and any other was as good.)
CREATE OR REPLACE FUNCTION event_at(of_sequence bigint) RETURNS SETOF event
    LANGUAGE sql STABLE AS $$
    SELECT e.* FROM (SELECT sequence FROM outbox WHERE sequence <= of_sequence ORDER BY sequence DESC LIMIT 1) o
    CROSS JOIN LATERAL (SELECT * FROM event n WHERE n.first = o.sequence OFFSET 0) e
    WHERE e.sequence = of_sequence
$$;
CREATE OR REPLACE FUNCTION event_named(of_merchant text, of_id text) RETURNS SETOF event
    LANGUAGE sql STABLE AS $$
    SELECT e.* FROM (SELECT sequence FROM outbox WHERE merchant = of_merchant
                     AND id IN (of_id, left(of_id, -1) || '0') OFFSET 0) o
    CROSS JOIN LATERAL (SELECT * FROM event n WHERE n.first = o.sequence OFFSET 0) e
    WHERE e.id = of_id
$$;

-- --- attempts that are under way -------------------------------------------------------------------

-- Their rows are written over in place: every payment begins and ends one, and as rows of the table
-- attempt each was written into two heaps' pages and five entries of indexes. Here it is one update of a
-- page that is in memory, and no entry. attempt has what is over, each row once. Which place is free the
-- ledger knows; that none is written over while its attempt is under way each of its statements checks.
-- The key that the attempt's first request claimed stands here, too, until it is answered.
CREATE TABLE IF NOT EXISTS open_attempt (
    place        integer PRIMARY KEY,
    request_hash bytea,
    path         text COLLATE "C",
    command      bytea
) WITH (fillfactor = 30);
COMMENT ON TABLE open_attempt IS 'Where attempts are under way: the columns of attempt, until they stand there.';
COMMENT ON COLUMN open_attempt.command IS 'id of the commit that claimed its key; absent: it claimed none';
DO $$
DECLARE
    missing record;
    rule record;
    names text;
    open_names text;
BEGIN
    FOR missing IN SELECT attname, format_type(atttypid, atttypmod) AS type,
            CASE WHEN attcollation <> 0 THEN ' COLLATE "C"' ELSE '' END AS collation
        FROM pg_attribute a WHERE attrelid = 'public.attempt'::regclass AND attnum > 0 AND NOT attisdropped
        AND NOT EXISTS (SELECT FROM pg_attribute o WHERE o.attrelid = 'public.open_attempt'::regclass
                        AND o.attname = a.attname) ORDER BY attnum LOOP
        EXECUTE format('ALTER TABLE open_attempt ADD COLUMN %I %s%s', missing.attname, missing.type, missing.collation);
    END LOOP;
    FOR rule IN SELECT quote_ident('open_' || conname) AS name, pg_get_constraintdef(oid) AS definition
        FROM pg_constraint WHERE conrelid = 'public.attempt'::regclass AND contype = 'c' LOOP
        EXECUTE format('ALTER TABLE open_attempt DROP CONSTRAINT IF EXISTS %s, ADD CONSTRAINT %s %s',
            rule.name, rule.name, rule.definition);
    END LOOP;
    ALTER TABLE open_attempt DROP CONSTRAINT IF EXISTS open_attempt_key, ADD CONSTRAINT open_attempt_key
        CHECK (command IS NULL OR length(key) BETWEEN 1 AND 255 AND length(request_hash) = 32 AND path IS NOT NULL);
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname), string_agg('o.' || quote_ident(attname), ', ' ORDER BY attname)
        INTO names, open_names
        FROM pg_attribute WHERE attrelid = 'public.attempt'::regclass AND attnum > 0 AND NOT attisdropped;
    DROP VIEW IF EXISTS every_attempt, attempt_under_way, places_in_use; -- a view's columns cannot change their order
    -- OFFSET 0: looked for one by one, also by a plan that was made while attempt was empty.
    EXECUTE format('CREATE VIEW attempt_under_way AS SELECT %s, o.place FROM open_attempt o WHERE o.id IS NOT NULL'
        ' AND NOT EXISTS (SELECT FROM attempt t WHERE t.id = ANY (ARRAY[o.id]) AND t.merchant = o.merchant OFFSET 0)', open_names);
    EXECUTE format('CREATE VIEW every_attempt AS SELECT %s FROM attempt UNION ALL SELECT %s FROM attempt_under_way',
        names, names);
    -- Who looks often reads no further: a table that an outage of the network made long stays so.
    CREATE VIEW places_in_use AS SELECT open_until FROM ledger_leader;
    -- Of version 4, in which attempt had them all.
    EXECUTE format('INSERT INTO open_attempt (place, %s) SELECT (SELECT coalesce(max(place), 0) FROM open_attempt)'
        ' + row_number() OVER (), %s FROM attempt WHERE state IN (''sending'', ''unknown'', ''reversing'')', names, names);
    DELETE FROM attempt WHERE state IN ('sending', 'unknown', 'reversing');
    UPDATE ledger_leader SET open_until = (SELECT max(place) FROM open_attempt) WHERE EXISTS (SELECT FROM attempt_under_way);
END $$;
-- Of version 2, each for a case that one index had together in version 4.
DROP INDEX IF EXISTS attempt_open, attempt_one_setup_open, attempt_one_open_of_charge, attempt_one_approved_of_charge;
DROP INDEX IF EXISTS attempt_one_open;
DROP FUNCTION IF EXISTS open_attempts(bigint[], integer);

-- --- what nobody looks after -----------------------------------------------------------------------

-- What follows is in a small index, and so is, until the next vacuum, all that followed a moment ago. A
-- walk along the index marks those as dead, and whoever walks it next passes them by; a bitmap scan marks
-- nothing and reads the row of each, every 2 s of every worker. To the planner the two cost the same, so
-- it is told.
CREATE OR REPLACE FUNCTION refunds_to_follow(slots bigint[], now bigint, most integer) RETURNS SETOF refund
    LANGUAGE sql STABLE SET enable_bitmapscan = off SET enable_seqscan = off AS $$
    SELECT * FROM refund WHERE follow_at IS NOT NULL AND follow_at <= now AND slot = ANY (slots)
    ORDER BY follow_at LIMIT most
$$;

-- --- searching ------------------------------------------------------------------------------------

-- What /v1/…/search finds by index (store_search.c). Metadata is kept as JSON text; a row that has
-- any is found by hashes of its merchant, key and value, so one index serves all merchants and none
-- reads another's. A row without metadata costs nothing; one with two keys costs a payment some 40 µs.
-- fastupdate is off: a pending list would be sorted in by the ledger, at a moment of its own choice.
-- Values are compared by small letters (A-Z).
CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE OR REPLACE FUNCTION search_term(merchant text, key text, value text) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT hashtextextended(merchant || chr(31) || key || chr(31) || lower(value COLLATE "C"), 0)
$$;
CREATE OR REPLACE FUNCTION search_terms(merchant text, metadata text) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(hashtextextended(merchant || chr(31) || m.key || chr(31) || lower(m.value COLLATE "C"), 0))
    FROM json_each_text(metadata::json) AS m
$$;
CREATE INDEX IF NOT EXISTS search_payment_intent_metadata ON payment_intent
    USING gin (search_terms(merchant, metadata)) WITH (fastupdate = off) WHERE metadata IS NOT NULL;
CREATE INDEX IF NOT EXISTS search_charge_metadata ON charge
    USING gin (search_terms(merchant, metadata)) WITH (fastupdate = off) WHERE metadata IS NOT NULL;
CREATE INDEX IF NOT EXISTS search_customer_metadata ON customer
    USING gin (search_terms(merchant, metadata)) WHERE metadata IS NOT NULL;
-- Parts of words. Customers are written seldom, and never on a payment's way.
CREATE INDEX IF NOT EXISTS search_customer_words ON customer USING gin
    (merchant, lower(name) gin_trgm_ops, lower(email) gin_trgm_ops, lower(phone) gin_trgm_ops);

-- --- the books -----------------------------------------------------------------------------------------

-- A transaction and its lines are one row: three lines in rows of their own cost a payment 9 µs more, and
-- 450 bytes of WAL. Whoever reads the books reads the view `entry`, a line each.
CREATE TABLE IF NOT EXISTS ledger_transaction (
    id       bigint PRIMARY KEY,
    merchant text COLLATE "C" NOT NULL,
    kind     text COLLATE "C" NOT NULL,
    source   text COLLATE "C" NOT NULL,
    created  bigint NOT NULL,
    currency text COLLATE "C",
    accounts smallint[],
    amounts  bigint[],
    UNIQUE (source, kind)
);
ALTER TABLE ledger_transaction ADD COLUMN IF NOT EXISTS currency text COLLATE "C"; -- these three since version 5
ALTER TABLE ledger_transaction ADD COLUMN IF NOT EXISTS accounts smallint[];
ALTER TABLE ledger_transaction ADD COLUMN IF NOT EXISTS amounts bigint[];
COMMENT ON TABLE ledger_transaction IS 'Movements of money; once per source and kind. Never changed.';
COMMENT ON COLUMN ledger_transaction.currency IS 'of all lines; if they differ, the codes of all lines in turn';
COMMENT ON COLUMN ledger_transaction.accounts IS 'of each line, number in accounts.def; below zero: the merchant''s, else the platform''s';
COMMENT ON COLUMN ledger_transaction.amounts IS 'of each line: debit above zero, credit below';

-- True, or an exception that says which currency of a transaction does not come to zero.
CREATE OR REPLACE FUNCTION lines_balance(transaction bigint, currency text, amounts bigint[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    odd record;
BEGIN
    SELECT code, sum(amount) AS sum INTO odd
        FROM (SELECT CASE length(currency) WHEN 3 THEN currency ELSE substr(currency, 3 * line::integer - 2, 3) END
              AS code, amount FROM unnest(amounts) WITH ORDINALITY AS l(amount, line)) AS coded
        GROUP BY code HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'FL002',
            MESSAGE = format('ledger transaction %s is unbalanced: its %s lines add up to %s',
                             transaction, odd.code, odd.sum);
    END IF;
    RETURN true;
END $$;

-- Two or three lines in one currency, which is what nearly all transactions have, are added up in place; the
-- function is asked about all others, and about those that do not come to zero, to say so. In place it is free
-- within the noise, where the function costs each transaction 10 µs.
-- NOT VALID: the transactions of before version 5 have their lines elsewhere.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'ledger_transaction_lines') THEN
        ALTER TABLE ledger_transaction
            ADD CONSTRAINT ledger_transaction_lines CHECK (
                (cardinality(amounts) > 0 AND cardinality(accounts) = cardinality(amounts) AND 0 <> ALL (accounts) AND
                 0 <> ALL (amounts) AND length(currency) IN (3, 3 * cardinality(amounts))) IS TRUE) NOT VALID,
            ADD CONSTRAINT ledger_transaction_must_balance CHECK (
                CASE cardinality(amounts)
                    WHEN 3 THEN amounts[1] + amounts[2] + amounts[3]
                    WHEN 2 THEN amounts[1] + amounts[2] END = 0 AND length(currency) = 3
                OR lines_balance(id, currency, amounts)) NOT VALID;
    END IF;
END $$;

-- Lines had a table of their own until version 4. What is in it stays in the books; nobody adds to it.
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'entry') THEN
        ALTER TABLE entry RENAME TO entry_until_version_4;
        ALTER TABLE entry_until_version_4 RENAME CONSTRAINT entry_pkey TO entry_until_version_4_pkey;
        ALTER TABLE entry_until_version_4 RENAME CONSTRAINT entry_currency_check TO entry_until_version_4_currency_check;
        ALTER TABLE entry_until_version_4 RENAME CONSTRAINT entry_amount_check TO entry_until_version_4_amount_check;
        DROP TRIGGER entry_must_balance ON entry_until_version_4;
        DROP FUNCTION entry_must_balance();
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS entry_until_version_4 (
    transaction bigint NOT NULL,
    line        smallint NOT NULL,
    account     smallint NOT NULL,
    merchant    text COLLATE "C" NOT NULL,
    currency    text COLLATE "C" NOT NULL CHECK (length(currency) = 3),
    amount      bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (transaction, line)
);
COMMENT ON TABLE entry_until_version_4 IS 'Lines of older transactions. Nothing is added, nothing changed.';
COMMENT ON COLUMN entry_until_version_4.account IS 'number of the row in accounts.def';
COMMENT ON COLUMN entry_until_version_4.merchant IS 'whose account; empty: the platform''s';

CREATE OR REPLACE VIEW entry AS
    SELECT t.id AS transaction, l.line::smallint AS line, abs(l.account) AS account,
           CASE WHEN l.account < 0 THEN t.merchant ELSE '' END AS merchant,
           CASE length(t.currency) WHEN 3 THEN t.currency ELSE substr(t.currency, 3 * l.line::integer - 2, 3) END
               AS currency, l.amount
    FROM ledger_transaction t CROSS JOIN LATERAL unnest(t.accounts, t.amounts) WITH ORDINALITY AS l(account, amount, line)
    UNION ALL SELECT transaction, line, account, merchant, currency, amount FROM entry_until_version_4;
COMMENT ON VIEW entry IS 'Lines of the books: debit above zero, credit below.';
COMMENT ON COLUMN entry.account IS 'number of the row in accounts.def';
COMMENT ON COLUMN entry.merchant IS 'whose account; empty: the platform''s';

CREATE TABLE IF NOT EXISTS balance (
    merchant text COLLATE "C" NOT NULL,
    account  smallint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount   bigint NOT NULL,
    PRIMARY KEY (merchant, account, currency)
) WITH (fillfactor = 10); -- few rows, replaced all the time
ALTER TABLE balance SET (fillfactor = 10); -- another in version 1
COMMENT ON TABLE balance IS 'Sums of the entries, kept by each batch.';

-- --- deliveries (webhooks) -----------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS dispatch (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE dispatch IS 'The last event that has been turned into deliveries.';
INSERT INTO dispatch VALUES (true, 0) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS delivery (
    sequence       bigint NOT NULL,
    endpoint       text COLLATE "C" NOT NULL,
    merchant       text COLLATE "C" NOT NULL,
    event          text COLLATE "C" NOT NULL,
    state          text COLLATE "C" NOT NULL DEFAULT 'pending'
                   CHECK (state IN ('pending', 'delivered', 'failed')),
    tries          integer NOT NULL DEFAULT 0,
    next_ms        bigint NOT NULL,
    lease_owner    text COLLATE "C",
    lease_until_ms bigint,
    last_status    integer,
    resend         text COLLATE "C",
    PRIMARY KEY (sequence, endpoint)
) WITH (fillfactor = 70);
ALTER TABLE delivery ADD COLUMN IF NOT EXISTS resend text COLLATE "C"; -- since version 2
COMMENT ON TABLE delivery IS 'One event for one endpoint.';
COMMENT ON COLUMN delivery.resend IS 'the last wish of the table resend that was granted';
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (endpoint, next_ms) WHERE state = 'pending';
DROP INDEX IF EXISTS delivery_event; -- of version 1
CREATE INDEX IF NOT EXISTS delivery_undone ON delivery (merchant, event) WHERE state <> 'delivered';

CREATE TABLE IF NOT EXISTS delivery_try (
    sequence    bigint NOT NULL,
    endpoint    text COLLATE "C" NOT NULL,
    number      integer NOT NULL,
    at_ms       bigint NOT NULL,
    status      integer,
    error       text COLLATE "C",
    duration_ms integer NOT NULL,
    PRIMARY KEY (sequence, endpoint, number)
);
COMMENT ON TABLE delivery_try IS 'Every try of a delivery, and what came of it.';
