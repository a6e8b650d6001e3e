-- Made by tabledoc from common/proto/rows.def: do not edit. Run before schema.sql.

DO $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT conname, relname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        WHERE contype = 'c' AND relnamespace = 'public'::regnamespace AND relname IN
        ('merchant', 'api_key', 'customer', 'payment_method', 'payment_intent', 'charge',
         'refund', 'balance_transaction', 'webhook_endpoint', 'attempt', 'setup_intent', 'challenge',
         'setup_attempt', 'checkout_session', 'token', 'confirmation_token', 'resend') LOOP
        EXECUTE format('ALTER TABLE public.%I DROP CONSTRAINT %I', old.relname, old.conname);
    END LOOP;
END $$;
DO $$
DECLARE
    old record;
BEGIN
    FOR old IN SELECT relname FROM pg_class JOIN (VALUES
        ('api_key_hash', 'CREATE UNIQUE INDEX api_key_hash ON api_key (hash)'),
        ('customer_email', 'CREATE INDEX customer_email ON customer (merchant, email, id) WHERE email IS NOT NULL'),
        ('payment_method_customer', 'CREATE INDEX payment_method_customer ON payment_method (merchant, customer, id) WHERE customer IS NOT NULL'),
        ('payment_intent_customer', 'CREATE INDEX payment_intent_customer ON payment_intent (merchant, customer, id) WHERE customer IS NOT NULL'),
        ('charge_payment_intent', 'CREATE INDEX charge_payment_intent ON charge (payment_intent, merchant, id) WHERE failure_code IS NOT NULL'),
        ('charge_transfer_group', 'CREATE INDEX charge_transfer_group ON charge (merchant, transfer_group, id) WHERE transfer_group IS NOT NULL'),
        ('charge_held', 'CREATE INDEX charge_held ON charge (hold_until) WHERE hold_until IS NOT NULL'),
        ('charge_customer', 'CREATE INDEX charge_customer ON charge (merchant, customer, id) WHERE customer IS NOT NULL'),
        ('refund_to_follow', 'CREATE INDEX refund_to_follow ON refund (slot) WHERE follow_at IS NOT NULL'),
        ('refund_charge', 'CREATE INDEX refund_charge ON refund (charge, merchant, id)'),
        ('refund_payment_intent', 'CREATE INDEX refund_payment_intent ON refund (payment_intent, merchant, id)'),
        ('balance_transaction_source', 'CREATE INDEX balance_transaction_source ON balance_transaction (source, merchant, id) WHERE NOT final'),
        ('balance_transaction_type', 'CREATE INDEX balance_transaction_type ON balance_transaction (merchant, type, id) WHERE type <> ''charge'''),
        ('balance_transaction_due', 'CREATE INDEX balance_transaction_due ON balance_transaction (available_on) WHERE status = ''pending'''),
        ('attempt_one_approved', 'CREATE UNIQUE INDEX attempt_one_approved ON attempt (coalesce(payment_intent, charge), merchant) WHERE operation = ''authorize'' AND state = ''approved'''),
        ('setup_intent_customer', 'CREATE INDEX setup_intent_customer ON setup_intent (merchant, customer, id) WHERE customer IS NOT NULL'),
        ('setup_intent_payment_method', 'CREATE INDEX setup_intent_payment_method ON setup_intent (merchant, payment_method, id) WHERE payment_method IS NOT NULL'),
        ('challenge_due', 'CREATE INDEX challenge_due ON challenge (expires_at) WHERE state = ''open'''),
        ('setup_attempt_setup_intent', 'CREATE INDEX setup_attempt_setup_intent ON setup_attempt (setup_intent, merchant, id)'),
        ('checkout_session_id', 'CREATE INDEX checkout_session_id ON checkout_session USING hash (id)'),
        ('checkout_session_due', 'CREATE INDEX checkout_session_due ON checkout_session (expires_at) WHERE status = ''open'''),
        ('checkout_session_payment_intent', 'CREATE INDEX checkout_session_payment_intent ON checkout_session (payment_intent, merchant, id) WHERE payment_intent IS NOT NULL'),
        ('checkout_session_customer', 'CREATE INDEX checkout_session_customer ON checkout_session (merchant, customer, id) WHERE customer IS NOT NULL'),
        ('resend_created', 'CREATE INDEX resend_created ON resend (created)')) AS today(name, definition) ON name = relname AND relkind = 'i' AND relnamespace = 'public'::regnamespace
        WHERE obj_description(pg_class.oid, 'pg_class') IS DISTINCT FROM definition LOOP
        EXECUTE format('DROP INDEX public.%I', old.relname);
    END LOOP;
END $$;

-- An account that takes payments.
CREATE TABLE IF NOT EXISTS merchant (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "name" text COLLATE "C",
    "country" text COLLATE "C",
    "currency" text COLLATE "C",
    "api_version" text COLLATE "C",
    "told_version" text COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE merchant
    ADD COLUMN IF NOT EXISTS "name" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "country" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "api_version" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "told_version" text COLLATE "C";
ALTER TABLE merchant SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.merchant'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE merchant DROP CONSTRAINT merchant_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
COMMENT ON TABLE merchant IS 'An account that takes payments.';
COMMENT ON COLUMN merchant."id" IS 'acct_…';
COMMENT ON COLUMN merchant."merchant" IS 'itself';
COMMENT ON COLUMN merchant."version" IS '1, then one more with each write';
COMMENT ON COLUMN merchant."created" IS 'Unix seconds';
COMMENT ON COLUMN merchant."name" IS 'as people call it';
COMMENT ON COLUMN merchant."country" IS 'ISO 3166-1 alpha-2';
COMMENT ON COLUMN merchant."currency" IS 'default currency, ISO 4217 in lower case';
COMMENT ON COLUMN merchant."api_version" IS 'pinned shape of answers and events';
COMMENT ON COLUMN merchant."told_version" IS 'oldest shape that an endpoint hears events in; absent: none older than the pinned one';

-- A key of the API, kept as a keyed hash.
CREATE TABLE IF NOT EXISTS api_key (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "hash" bytea,
    "publishable" boolean NOT NULL,
    "livemode" boolean NOT NULL,
    "last4" text COLLATE "C",
    "revoked_at" bigint,
    "permissions" text COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE api_key
    ADD COLUMN IF NOT EXISTS "hash" bytea,
    ADD COLUMN IF NOT EXISTS "publishable" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "livemode" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "last4" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "revoked_at" bigint,
    ADD COLUMN IF NOT EXISTS "permissions" text COLLATE "C";
ALTER TABLE api_key ALTER COLUMN "publishable" DROP DEFAULT;
ALTER TABLE api_key ALTER COLUMN "livemode" DROP DEFAULT;
ALTER TABLE api_key SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.api_key'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE api_key DROP CONSTRAINT api_key_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
CREATE UNIQUE INDEX IF NOT EXISTS api_key_hash ON api_key (hash);
COMMENT ON INDEX api_key_hash IS 'CREATE UNIQUE INDEX api_key_hash ON api_key (hash)';
COMMENT ON TABLE api_key IS 'A key of the API, kept as a keyed hash.';
COMMENT ON COLUMN api_key."id" IS 'key_…';
COMMENT ON COLUMN api_key."merchant" IS 'whose';
COMMENT ON COLUMN api_key."created" IS 'Unix seconds';
COMMENT ON COLUMN api_key."hash" IS 'BLAKE2b of the key under the pepper, 32 bytes';
COMMENT ON COLUMN api_key."publishable" IS 'pk_, else sk_';
COMMENT ON COLUMN api_key."livemode" IS 'live, else test';
COMMENT ON COLUMN api_key."last4" IS 'to tell keys apart';
COMMENT ON COLUMN api_key."revoked_at" IS 'Unix seconds';
COMMENT ON COLUMN api_key."permissions" IS 'of a restricted key, as in permission.h; absent: it may do everything';

-- Somebody who pays a merchant.
CREATE TABLE IF NOT EXISTS customer (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "name" text COLLATE "C",
    "email" text COLLATE "C",
    "phone" text COLLATE "C",
    "description" text COLLATE "C",
    "address" text COMPRESSION lz4 COLLATE "C",
    "shipping" text COMPRESSION lz4 COLLATE "C",
    "metadata" text COMPRESSION lz4 COLLATE "C",
    "balance" bigint NOT NULL,
    "invoice_prefix" text COLLATE "C",
    "next_invoice_sequence" bigint NOT NULL,
    "preferred_locales" text COMPRESSION lz4 COLLATE "C",
    "tax_exempt" text COLLATE "C",
    "default_payment_method" text COLLATE "C",
    "deleted" boolean NOT NULL,
    "default_source" text COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE customer
    ADD COLUMN IF NOT EXISTS "name" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "email" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "phone" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "description" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "address" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "shipping" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "balance" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "invoice_prefix" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "next_invoice_sequence" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "preferred_locales" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "tax_exempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "default_payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "deleted" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "default_source" text COLLATE "C";
ALTER TABLE customer ALTER COLUMN "balance" DROP DEFAULT;
ALTER TABLE customer ALTER COLUMN "next_invoice_sequence" DROP DEFAULT;
ALTER TABLE customer ALTER COLUMN "deleted" DROP DEFAULT;
ALTER TABLE customer SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.customer'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE customer DROP CONSTRAINT customer_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS customer_email ON customer (merchant, email, id) WHERE email IS NOT NULL;
COMMENT ON INDEX customer_email IS 'CREATE INDEX customer_email ON customer (merchant, email, id) WHERE email IS NOT NULL';
COMMENT ON TABLE customer IS 'Somebody who pays a merchant.';
COMMENT ON COLUMN customer."id" IS 'cus_…';
COMMENT ON COLUMN customer."merchant" IS 'whose';
COMMENT ON COLUMN customer."created" IS 'Unix seconds';
COMMENT ON COLUMN customer."address" IS 'object';
COMMENT ON COLUMN customer."shipping" IS 'object';
COMMENT ON COLUMN customer."metadata" IS 'object of strings';
COMMENT ON COLUMN customer."balance" IS 'minor units, as Stripe''s customer.balance';
COMMENT ON COLUMN customer."invoice_prefix" IS '8 characters';
COMMENT ON COLUMN customer."preferred_locales" IS 'array of strings';
COMMENT ON COLUMN customer."tax_exempt" IS 'none, exempt or reverse';
COMMENT ON COLUMN customer."default_payment_method" IS 'invoice_settings.default_payment_method';
COMMENT ON COLUMN customer."deleted" IS 'deleted: only its id is shown';
COMMENT ON COLUMN customer."default_source" IS 'card_…: what is charged when a charge names no source';

-- A card that can be charged, by its token.
CREATE TABLE IF NOT EXISTS payment_method (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "customer" text COLLATE "C",
    "token" text COLLATE "C",
    "fingerprint" text COLLATE "C",
    "brand" text COLLATE "C",
    "last4" text COLLATE "C",
    "exp_month" bigint NOT NULL,
    "exp_year" bigint NOT NULL,
    "funding" text COLLATE "C",
    "country" text COLLATE "C",
    "cvc" text COLLATE "C",
    "cvc_check" text COLLATE "C",
    "postal_check" text COLLATE "C",
    "line1_check" text COLLATE "C",
    "attach_code" text COLLATE "C",
    "unsupported" text COLLATE "C",
    "billing_details" text COMPRESSION lz4 COLLATE "C",
    "metadata" text COMPRESSION lz4 COLLATE "C",
    "allow_redisplay" text COLLATE "C",
    "consumed" boolean NOT NULL,
    "set_up" boolean NOT NULL,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE payment_method
    ADD COLUMN IF NOT EXISTS "customer" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "token" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "fingerprint" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "brand" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "last4" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "exp_month" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "exp_year" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "funding" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "country" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "cvc" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "cvc_check" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "postal_check" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "line1_check" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "attach_code" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "unsupported" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "billing_details" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "allow_redisplay" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "consumed" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "set_up" boolean NOT NULL DEFAULT false;
ALTER TABLE payment_method ALTER COLUMN "exp_month" DROP DEFAULT;
ALTER TABLE payment_method ALTER COLUMN "exp_year" DROP DEFAULT;
ALTER TABLE payment_method ALTER COLUMN "consumed" DROP DEFAULT;
ALTER TABLE payment_method ALTER COLUMN "set_up" DROP DEFAULT;
ALTER TABLE payment_method SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.payment_method'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE payment_method DROP CONSTRAINT payment_method_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS payment_method_customer ON payment_method (merchant, customer, id) WHERE customer IS NOT NULL;
COMMENT ON INDEX payment_method_customer IS 'CREATE INDEX payment_method_customer ON payment_method (merchant, customer, id) WHERE customer IS NOT NULL';
COMMENT ON TABLE payment_method IS 'A card that can be charged, by its token.';
COMMENT ON COLUMN payment_method."id" IS 'pm_…, or card_… for a card that came as a token: see table_takes_id';
COMMENT ON COLUMN payment_method."merchant" IS 'whose';
COMMENT ON COLUMN payment_method."created" IS 'Unix seconds';
COMMENT ON COLUMN payment_method."customer" IS 'attached to';
COMMENT ON COLUMN payment_method."token" IS 'card_…: the vault''s name for the number';
COMMENT ON COLUMN payment_method."fingerprint" IS '16 characters';
COMMENT ON COLUMN payment_method."brand" IS 'visa, mastercard, …';
COMMENT ON COLUMN payment_method."funding" IS 'credit, debit, prepaid or unknown';
COMMENT ON COLUMN payment_method."country" IS 'of the issuer';
COMMENT ON COLUMN payment_method."cvc" IS 'cvc_…: the vault''s one-time name for the code, until used';
COMMENT ON COLUMN payment_method."attach_code" IS 'row of declines.def that refuses attaching';
COMMENT ON COLUMN payment_method."unsupported" IS 'a feature this card needs that is not there yet';
COMMENT ON COLUMN payment_method."billing_details" IS 'object';
COMMENT ON COLUMN payment_method."metadata" IS 'object of strings';
COMMENT ON COLUMN payment_method."allow_redisplay" IS 'always, limited or unspecified';
COMMENT ON COLUMN payment_method."consumed" IS 'used once without a customer: not to be used again';
COMMENT ON COLUMN payment_method."set_up" IS 'its owner has agreed to its use while they are not there';

-- The life of one payment.
CREATE TABLE IF NOT EXISTS payment_intent (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "status" text COLLATE "C",
    "amount" bigint NOT NULL,
    "amount_capturable" bigint NOT NULL,
    "amount_received" bigint NOT NULL,
    "currency" text COLLATE "C",
    "capture_method" text COLLATE "C",
    "confirmation_method" text COLLATE "C",
    "client_secret" text COLLATE "C",
    "customer" text COLLATE "C",
    "payment_method" text COLLATE "C",
    "latest_charge" text COLLATE "C",
    "attempt" text COLLATE "C",
    "description" text COLLATE "C",
    "receipt_email" text COLLATE "C",
    "setup_future_usage" text COLLATE "C",
    "statement_descriptor" text COLLATE "C",
    "statement_descriptor_suffix" text COLLATE "C",
    "transfer_group" text COLLATE "C",
    "cancellation_reason" text COLLATE "C",
    "canceled_at" bigint,
    "last_payment_error" text COMPRESSION lz4 COLLATE "C",
    "last_error_method" text COLLATE "C",
    "automatic_payment_methods" text COMPRESSION lz4 COLLATE "C",
    "payment_method_types" text COMPRESSION lz4 COLLATE "C",
    "payment_method_options" text COMPRESSION lz4 COLLATE "C",
    "shipping" text COMPRESSION lz4 COLLATE "C",
    "metadata" text COMPRESSION lz4 COLLATE "C",
    "challenge" text COLLATE "C",
    "next_action" text COMPRESSION lz4 COLLATE "C",
    "checkout_session" text COLLATE "C",
    "allowed_payment_method_types" text COMPRESSION lz4 COLLATE "C",
    "excluded_payment_method_types" text COMPRESSION lz4 COLLATE "C",
    "increments" bigint NOT NULL,
    "confirms" bigint NOT NULL,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 48);
ALTER TABLE payment_intent
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "amount" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "amount_capturable" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "amount_received" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "capture_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "confirmation_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "client_secret" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "latest_charge" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "attempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "description" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "receipt_email" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_future_usage" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "statement_descriptor" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "statement_descriptor_suffix" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "transfer_group" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "cancellation_reason" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "canceled_at" bigint,
    ADD COLUMN IF NOT EXISTS "last_payment_error" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "last_error_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "automatic_payment_methods" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method_types" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method_options" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "shipping" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "challenge" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "next_action" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "checkout_session" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "allowed_payment_method_types" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "excluded_payment_method_types" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "increments" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "confirms" bigint NOT NULL DEFAULT 0;
ALTER TABLE payment_intent ALTER COLUMN "amount" DROP DEFAULT;
ALTER TABLE payment_intent ALTER COLUMN "amount_capturable" DROP DEFAULT;
ALTER TABLE payment_intent ALTER COLUMN "amount_received" DROP DEFAULT;
ALTER TABLE payment_intent ALTER COLUMN "increments" DROP DEFAULT;
ALTER TABLE payment_intent ALTER COLUMN "confirms" DROP DEFAULT;
ALTER TABLE payment_intent SET (fillfactor = 48);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.payment_intent'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE payment_intent DROP CONSTRAINT payment_intent_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
ALTER TABLE payment_intent ADD CHECK (amount > 0);
ALTER TABLE payment_intent ADD CHECK (amount_capturable >= 0 AND amount_received >= 0);
ALTER TABLE payment_intent ADD CHECK (amount_received + amount_capturable <= amount);
CREATE INDEX IF NOT EXISTS payment_intent_customer ON payment_intent (merchant, customer, id) WHERE customer IS NOT NULL;
COMMENT ON INDEX payment_intent_customer IS 'CREATE INDEX payment_intent_customer ON payment_intent (merchant, customer, id) WHERE customer IS NOT NULL';
COMMENT ON TABLE payment_intent IS 'The life of one payment.';
COMMENT ON COLUMN payment_intent."id" IS 'pi_…';
COMMENT ON COLUMN payment_intent."merchant" IS 'whose';
COMMENT ON COLUMN payment_intent."created" IS 'Unix seconds';
COMMENT ON COLUMN payment_intent."status" IS 'name of the state in payment_intent.h';
COMMENT ON COLUMN payment_intent."amount" IS 'minor units';
COMMENT ON COLUMN payment_intent."amount_capturable" IS 'minor units held and not yet taken';
COMMENT ON COLUMN payment_intent."amount_received" IS 'minor units taken';
COMMENT ON COLUMN payment_intent."currency" IS 'ISO 4217, lower case';
COMMENT ON COLUMN payment_intent."capture_method" IS 'automatic, automatic_async or manual';
COMMENT ON COLUMN payment_intent."confirmation_method" IS 'automatic or manual';
COMMENT ON COLUMN payment_intent."client_secret" IS 'pi_…_secret_…';
COMMENT ON COLUMN payment_intent."attempt" IS 'the one that is open, if any';
COMMENT ON COLUMN payment_intent."setup_future_usage" IS 'on_session or off_session';
COMMENT ON COLUMN payment_intent."canceled_at" IS 'Unix seconds';
COMMENT ON COLUMN payment_intent."last_payment_error" IS 'object, without its payment_method';
COMMENT ON COLUMN payment_intent."last_error_method" IS 'the payment method of last_payment_error';
COMMENT ON COLUMN payment_intent."automatic_payment_methods" IS 'object';
COMMENT ON COLUMN payment_intent."payment_method_types" IS 'array';
COMMENT ON COLUMN payment_intent."payment_method_options" IS 'object';
COMMENT ON COLUMN payment_intent."shipping" IS 'object';
COMMENT ON COLUMN payment_intent."metadata" IS 'object of strings';
COMMENT ON COLUMN payment_intent."challenge" IS 'the newest that its payer was asked to answer, as long as it counts';
COMMENT ON COLUMN payment_intent."next_action" IS 'object; shown while it requires action';
COMMENT ON COLUMN payment_intent."checkout_session" IS 'the checkout session that it is the payment of, if any';
COMMENT ON COLUMN payment_intent."allowed_payment_method_types" IS 'array, as the client gave it';
COMMENT ON COLUMN payment_intent."excluded_payment_method_types" IS 'array, as the client gave it';
COMMENT ON COLUMN payment_intent."increments" IS 'how often more was held';
COMMENT ON COLUMN payment_intent."confirms" IS 'how often it was confirmed: after too many it is canceled';

-- One try to take the money of a payment.
CREATE TABLE IF NOT EXISTS charge (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "status" text COLLATE "C",
    "amount" bigint NOT NULL,
    "amount_captured" bigint NOT NULL,
    "amount_refunded" bigint NOT NULL,
    "amount_refunding" bigint NOT NULL,
    "currency" text COLLATE "C",
    "captured" boolean NOT NULL,
    "paid" boolean NOT NULL,
    "refunded" boolean NOT NULL,
    "payment_intent" text COLLATE "C",
    "payment_method" text COLLATE "C",
    "customer" text COLLATE "C",
    "balance_transaction" text COLLATE "C",
    "authorization" text COLLATE "C",
    "description" text COLLATE "C",
    "failure_code" text COLLATE "C",
    "failure_message" text COLLATE "C",
    "receipt_email" text COLLATE "C",
    "statement_descriptor" text COLLATE "C",
    "statement_descriptor_suffix" text COLLATE "C",
    "transfer_group" text COLLATE "C",
    "outcome" text COMPRESSION lz4 COLLATE "C",
    "payment_method_details" text COMPRESSION lz4 COLLATE "C",
    "billing_details" text COMPRESSION lz4 COLLATE "C",
    "fraud_details" text COMPRESSION lz4 COLLATE "C",
    "shipping" text COMPRESSION lz4 COLLATE "C",
    "metadata" text COMPRESSION lz4 COLLATE "C",
    "bypass_pending" boolean NOT NULL,
    "attempt" text COLLATE "C",
    "source" text COMPRESSION lz4 COLLATE "C",
    "hold_until" bigint,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE charge
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "amount" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "amount_captured" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "amount_refunded" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "amount_refunding" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "captured" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "paid" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "refunded" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "payment_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "balance_transaction" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "authorization" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "description" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "failure_code" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "failure_message" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "receipt_email" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "statement_descriptor" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "statement_descriptor_suffix" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "transfer_group" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "outcome" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method_details" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "billing_details" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "fraud_details" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "shipping" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "bypass_pending" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "attempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "source" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "hold_until" bigint;
ALTER TABLE charge ALTER COLUMN "amount" DROP DEFAULT;
ALTER TABLE charge ALTER COLUMN "amount_captured" DROP DEFAULT;
ALTER TABLE charge ALTER COLUMN "amount_refunded" DROP DEFAULT;
ALTER TABLE charge ALTER COLUMN "amount_refunding" DROP DEFAULT;
ALTER TABLE charge ALTER COLUMN "captured" DROP DEFAULT;
ALTER TABLE charge ALTER COLUMN "paid" DROP DEFAULT;
ALTER TABLE charge ALTER COLUMN "refunded" DROP DEFAULT;
ALTER TABLE charge ALTER COLUMN "bypass_pending" DROP DEFAULT;
ALTER TABLE charge SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.charge'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE charge DROP CONSTRAINT charge_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
ALTER TABLE charge ADD CHECK (amount > 0 AND amount_captured BETWEEN 0 AND amount);
ALTER TABLE charge ADD CHECK (amount_refunded >= 0 AND amount_refunding >= 0);
ALTER TABLE charge ADD CHECK (amount_refunded + amount_refunding <= amount);
CREATE INDEX IF NOT EXISTS charge_payment_intent ON charge (payment_intent, merchant, id) WHERE failure_code IS NOT NULL;
COMMENT ON INDEX charge_payment_intent IS 'CREATE INDEX charge_payment_intent ON charge (payment_intent, merchant, id) WHERE failure_code IS NOT NULL';
CREATE INDEX IF NOT EXISTS charge_transfer_group ON charge (merchant, transfer_group, id) WHERE transfer_group IS NOT NULL;
COMMENT ON INDEX charge_transfer_group IS 'CREATE INDEX charge_transfer_group ON charge (merchant, transfer_group, id) WHERE transfer_group IS NOT NULL';
CREATE INDEX IF NOT EXISTS charge_held ON charge (hold_until) WHERE hold_until IS NOT NULL;
COMMENT ON INDEX charge_held IS 'CREATE INDEX charge_held ON charge (hold_until) WHERE hold_until IS NOT NULL';
CREATE INDEX IF NOT EXISTS charge_customer ON charge (merchant, customer, id) WHERE customer IS NOT NULL;
COMMENT ON INDEX charge_customer IS 'CREATE INDEX charge_customer ON charge (merchant, customer, id) WHERE customer IS NOT NULL';
COMMENT ON TABLE charge IS 'One try to take the money of a payment.';
COMMENT ON COLUMN charge."id" IS 'ch_…';
COMMENT ON COLUMN charge."merchant" IS 'whose';
COMMENT ON COLUMN charge."created" IS 'Unix seconds';
COMMENT ON COLUMN charge."status" IS 'succeeded, pending or failed';
COMMENT ON COLUMN charge."amount" IS 'minor units';
COMMENT ON COLUMN charge."amount_captured" IS 'minor units';
COMMENT ON COLUMN charge."amount_refunded" IS 'minor units given back, or released by a capture in part';
COMMENT ON COLUMN charge."amount_refunding" IS 'minor units of refunds that are under way';
COMMENT ON COLUMN charge."captured" IS 'the money was taken';
COMMENT ON COLUMN charge."paid" IS 'succeeded, or held';
COMMENT ON COLUMN charge."refunded" IS 'all of it was given back';
COMMENT ON COLUMN charge."authorization" IS 'attempt that authorized it: the network''s reference';
COMMENT ON COLUMN charge."outcome" IS 'object';
COMMENT ON COLUMN charge."payment_method_details" IS 'object';
COMMENT ON COLUMN charge."billing_details" IS 'object';
COMMENT ON COLUMN charge."fraud_details" IS 'object';
COMMENT ON COLUMN charge."shipping" IS 'object';
COMMENT ON COLUMN charge."metadata" IS 'object of strings';
COMMENT ON COLUMN charge."bypass_pending" IS 'its funds are available at once';
COMMENT ON COLUMN charge."attempt" IS 'of a charge without a payment: the one that is open, if any';
COMMENT ON COLUMN charge."source" IS 'likewise: the card as it was charged, as the API shows it';
COMMENT ON COLUMN charge."hold_until" IS 'Unix seconds: how long the issuer keeps what is not captured; absent: nothing is held';

-- Money given back.
CREATE TABLE IF NOT EXISTS refund (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "status" text COLLATE "C",
    "amount" bigint NOT NULL,
    "currency" text COLLATE "C",
    "charge" text COLLATE "C",
    "payment_intent" text COLLATE "C",
    "balance_transaction" text COLLATE "C",
    "failure_balance_transaction" text COLLATE "C",
    "failure_reason" text COLLATE "C",
    "reason" text COLLATE "C",
    "payment_method" text COLLATE "C",
    "customer" text COLLATE "C",
    "description" text COLLATE "C",
    "metadata" text COMPRESSION lz4 COLLATE "C",
    "slot" bigint NOT NULL,
    "attempt" text COLLATE "C",
    "follow_at" bigint,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE refund
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "amount" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "charge" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "balance_transaction" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "failure_balance_transaction" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "failure_reason" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "reason" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "description" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "slot" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "attempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "follow_at" bigint;
ALTER TABLE refund ALTER COLUMN "amount" DROP DEFAULT;
ALTER TABLE refund ALTER COLUMN "slot" DROP DEFAULT;
ALTER TABLE refund SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.refund'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE refund DROP CONSTRAINT refund_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
ALTER TABLE refund ADD CHECK (amount > 0);
CREATE INDEX IF NOT EXISTS refund_to_follow ON refund (slot) WHERE follow_at IS NOT NULL;
COMMENT ON INDEX refund_to_follow IS 'CREATE INDEX refund_to_follow ON refund (slot) WHERE follow_at IS NOT NULL';
CREATE INDEX IF NOT EXISTS refund_charge ON refund (charge, merchant, id);
COMMENT ON INDEX refund_charge IS 'CREATE INDEX refund_charge ON refund (charge, merchant, id)';
CREATE INDEX IF NOT EXISTS refund_payment_intent ON refund (payment_intent, merchant, id);
COMMENT ON INDEX refund_payment_intent IS 'CREATE INDEX refund_payment_intent ON refund (payment_intent, merchant, id)';
COMMENT ON TABLE refund IS 'Money given back.';
COMMENT ON COLUMN refund."id" IS 're_…';
COMMENT ON COLUMN refund."merchant" IS 'whose';
COMMENT ON COLUMN refund."created" IS 'Unix seconds';
COMMENT ON COLUMN refund."status" IS 'pending, succeeded, failed or canceled';
COMMENT ON COLUMN refund."amount" IS 'minor units';
COMMENT ON COLUMN refund."reason" IS 'duplicate, fraudulent or requested_by_customer';
COMMENT ON COLUMN refund."metadata" IS 'object of strings';
COMMENT ON COLUMN refund."slot" IS 'of the merchant: its owner follows what becomes of it';
COMMENT ON COLUMN refund."attempt" IS 'attempt that made it: the network''s reference';
COMMENT ON COLUMN refund."follow_at" IS 'Unix seconds: the network is asked again then; absent: it is final';

-- One movement of a merchant's balance.
CREATE TABLE IF NOT EXISTS balance_transaction (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "type" text COLLATE "C",
    "amount" bigint NOT NULL,
    "fee" bigint NOT NULL,
    "net" bigint NOT NULL,
    "currency" text COLLATE "C",
    "source" text COLLATE "C",
    "reporting_category" text COLLATE "C",
    "description" text COLLATE "C",
    "status" text COLLATE "C",
    "available_on" bigint NOT NULL,
    "final" boolean NOT NULL,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 100);
ALTER TABLE balance_transaction
    ADD COLUMN IF NOT EXISTS "type" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "amount" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "fee" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "net" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "source" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "reporting_category" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "description" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "available_on" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "final" boolean NOT NULL DEFAULT false;
ALTER TABLE balance_transaction ALTER COLUMN "amount" DROP DEFAULT;
ALTER TABLE balance_transaction ALTER COLUMN "fee" DROP DEFAULT;
ALTER TABLE balance_transaction ALTER COLUMN "net" DROP DEFAULT;
ALTER TABLE balance_transaction ALTER COLUMN "available_on" DROP DEFAULT;
ALTER TABLE balance_transaction ALTER COLUMN "final" DROP DEFAULT;
ALTER TABLE balance_transaction SET (fillfactor = 100);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.balance_transaction'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE balance_transaction DROP CONSTRAINT balance_transaction_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
ALTER TABLE balance_transaction ADD CHECK (net = amount - fee);
CREATE INDEX IF NOT EXISTS balance_transaction_source ON balance_transaction (source, merchant, id) WHERE NOT final;
COMMENT ON INDEX balance_transaction_source IS 'CREATE INDEX balance_transaction_source ON balance_transaction (source, merchant, id) WHERE NOT final';
CREATE INDEX IF NOT EXISTS balance_transaction_type ON balance_transaction (merchant, type, id) WHERE type <> 'charge';
COMMENT ON INDEX balance_transaction_type IS 'CREATE INDEX balance_transaction_type ON balance_transaction (merchant, type, id) WHERE type <> ''charge''';
CREATE INDEX IF NOT EXISTS balance_transaction_due ON balance_transaction (available_on) WHERE status = 'pending';
COMMENT ON INDEX balance_transaction_due IS 'CREATE INDEX balance_transaction_due ON balance_transaction (available_on) WHERE status = ''pending''';
COMMENT ON TABLE balance_transaction IS 'One movement of a merchant''s balance.';
COMMENT ON COLUMN balance_transaction."id" IS 'txn_…';
COMMENT ON COLUMN balance_transaction."merchant" IS 'whose';
COMMENT ON COLUMN balance_transaction."created" IS 'Unix seconds';
COMMENT ON COLUMN balance_transaction."type" IS 'charge, refund, refund_failure, …';
COMMENT ON COLUMN balance_transaction."amount" IS 'minor units, below zero when it leaves';
COMMENT ON COLUMN balance_transaction."fee" IS 'minor units';
COMMENT ON COLUMN balance_transaction."net" IS 'amount - fee';
COMMENT ON COLUMN balance_transaction."source" IS 'object that moved it';
COMMENT ON COLUMN balance_transaction."status" IS 'pending or available';
COMMENT ON COLUMN balance_transaction."available_on" IS 'Unix seconds';
COMMENT ON COLUMN balance_transaction."final" IS 'of a charge: no other follows, so it is the one that the charge names';

-- A URL that hears of events.
CREATE TABLE IF NOT EXISTS webhook_endpoint (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "url" text COLLATE "C",
    "secret" text COLLATE "C",
    "enabled_events" text COMPRESSION lz4 COLLATE "C",
    "description" text COLLATE "C",
    "status" text COLLATE "C",
    "api_version" text COLLATE "C",
    "metadata" text COMPRESSION lz4 COLLATE "C",
    "deleted" boolean NOT NULL,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE webhook_endpoint
    ADD COLUMN IF NOT EXISTS "url" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "secret" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "enabled_events" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "description" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "api_version" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "deleted" boolean NOT NULL DEFAULT false;
ALTER TABLE webhook_endpoint ALTER COLUMN "deleted" DROP DEFAULT;
ALTER TABLE webhook_endpoint SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.webhook_endpoint'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE webhook_endpoint DROP CONSTRAINT webhook_endpoint_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
COMMENT ON TABLE webhook_endpoint IS 'A URL that hears of events.';
COMMENT ON COLUMN webhook_endpoint."id" IS 'we_…';
COMMENT ON COLUMN webhook_endpoint."merchant" IS 'whose';
COMMENT ON COLUMN webhook_endpoint."created" IS 'Unix seconds';
COMMENT ON COLUMN webhook_endpoint."secret" IS 'whsec_…, the HMAC key';
COMMENT ON COLUMN webhook_endpoint."enabled_events" IS 'array of types, or of *';
COMMENT ON COLUMN webhook_endpoint."status" IS 'enabled or disabled';
COMMENT ON COLUMN webhook_endpoint."metadata" IS 'object of strings';

-- One operation that leaves the house; its id is the network's key.
CREATE TABLE IF NOT EXISTS attempt (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "state" text COLLATE "C",
    "operation" text COLLATE "C",
    "slot" bigint NOT NULL,
    "epoch" bigint NOT NULL,
    "amount" bigint NOT NULL,
    "currency" text COLLATE "C",
    "payment_intent" text COLLATE "C",
    "charge" text COLLATE "C",
    "refund" text COLLATE "C",
    "payment_method" text COLLATE "C",
    "original" text COLLATE "C",
    "capture" boolean NOT NULL,
    "network_id" text COLLATE "C",
    "code" text COLLATE "C",
    "key" text COLLATE "C",
    "request" text COLLATE "C",
    "api_version" text COLLATE "C",
    "expand" text COLLATE "C",
    "params" text COMPRESSION lz4 COLLATE "C",
    "setup_intent" text COLLATE "C",
    "setup_attempt" text COLLATE "C",
    "staged" bytea,
    PRIMARY KEY (id, merchant)
) WITH (fillfactor = 100);
ALTER TABLE attempt
    ADD COLUMN IF NOT EXISTS "state" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "operation" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "slot" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "epoch" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "amount" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "charge" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "refund" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "original" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "capture" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "network_id" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "code" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "key" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "request" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "api_version" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "expand" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "params" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_attempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "staged" bytea;
ALTER TABLE attempt ALTER COLUMN "slot" DROP DEFAULT;
ALTER TABLE attempt ALTER COLUMN "epoch" DROP DEFAULT;
ALTER TABLE attempt ALTER COLUMN "amount" DROP DEFAULT;
ALTER TABLE attempt ALTER COLUMN "capture" DROP DEFAULT;
ALTER TABLE attempt SET (fillfactor = 100);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.attempt'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (id, merchant)') THEN
        ALTER TABLE attempt DROP CONSTRAINT attempt_pkey, ADD PRIMARY KEY (id, merchant);
    END IF;
END $$;
ALTER TABLE attempt ADD CHECK (CASE operation WHEN 'verify' THEN amount = 0 ELSE amount > 0 END);
CREATE UNIQUE INDEX IF NOT EXISTS attempt_one_approved ON attempt (coalesce(payment_intent, charge), merchant) WHERE operation = 'authorize' AND state = 'approved';
COMMENT ON INDEX attempt_one_approved IS 'CREATE UNIQUE INDEX attempt_one_approved ON attempt (coalesce(payment_intent, charge), merchant) WHERE operation = ''authorize'' AND state = ''approved''';
COMMENT ON TABLE attempt IS 'One operation that leaves the house; its id is the network''s key.';
COMMENT ON COLUMN attempt."id" IS 'att_…: the reference at the network';
COMMENT ON COLUMN attempt."merchant" IS 'whose';
COMMENT ON COLUMN attempt."created" IS 'Unix seconds';
COMMENT ON COLUMN attempt."state" IS 'name of the state in attempt.h';
COMMENT ON COLUMN attempt."operation" IS 'authorize, increment, capture, void, refund, recall or verify';
COMMENT ON COLUMN attempt."slot" IS 'of the merchant';
COMMENT ON COLUMN attempt."epoch" IS 'of the slot, when it was last written';
COMMENT ON COLUMN attempt."amount" IS 'minor units';
COMMENT ON COLUMN attempt."charge" IS 'made when the attempt was';
COMMENT ON COLUMN attempt."original" IS 'attempt that it captures, voids, refunds or recalls, or whose challenge was passed';
COMMENT ON COLUMN attempt."capture" IS 'authorize: take the money at once';
COMMENT ON COLUMN attempt."network_id" IS 'the network''s transaction id';
COMMENT ON COLUMN attempt."code" IS 'declined: row of declines.def';
COMMENT ON COLUMN attempt."key" IS 'Idempotency-Key whose answer it makes';
COMMENT ON COLUMN attempt."request" IS 'Request-Id';
COMMENT ON COLUMN attempt."api_version" IS 'shape of the answer';
COMMENT ON COLUMN attempt."expand" IS 'paths to expand in the answer, a space between them';
COMMENT ON COLUMN attempt."params" IS 'what else the finishing needs';
COMMENT ON COLUMN attempt."setup_intent" IS 'verify: what for';
COMMENT ON COLUMN attempt."setup_attempt" IS 'made when the attempt was';
COMMENT ON COLUMN attempt."staged" IS 'the message staged: rows that its end inserts, and nobody knows of before; absent once it is over';

-- A card on its way to being kept for later payments.
CREATE TABLE IF NOT EXISTS setup_intent (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "status" text COLLATE "C",
    "usage" text COLLATE "C",
    "client_secret" text COLLATE "C",
    "customer" text COLLATE "C",
    "payment_method" text COLLATE "C",
    "description" text COLLATE "C",
    "cancellation_reason" text COLLATE "C",
    "attempt" text COLLATE "C",
    "latest_attempt" text COLLATE "C",
    "challenge" text COLLATE "C",
    "next_action" text COMPRESSION lz4 COLLATE "C",
    "last_setup_error" text COMPRESSION lz4 COLLATE "C",
    "last_error_method" text COLLATE "C",
    "automatic_payment_methods" text COMPRESSION lz4 COLLATE "C",
    "payment_method_types" text COMPRESSION lz4 COLLATE "C",
    "payment_method_options" text COMPRESSION lz4 COLLATE "C",
    "metadata" text COMPRESSION lz4 COLLATE "C",
    "checkout_session" text COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE setup_intent
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "usage" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "client_secret" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "description" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "cancellation_reason" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "attempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "latest_attempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "challenge" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "next_action" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "last_setup_error" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "last_error_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "automatic_payment_methods" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method_types" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method_options" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "checkout_session" text COLLATE "C";
ALTER TABLE setup_intent SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.setup_intent'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE setup_intent DROP CONSTRAINT setup_intent_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS setup_intent_customer ON setup_intent (merchant, customer, id) WHERE customer IS NOT NULL;
COMMENT ON INDEX setup_intent_customer IS 'CREATE INDEX setup_intent_customer ON setup_intent (merchant, customer, id) WHERE customer IS NOT NULL';
CREATE INDEX IF NOT EXISTS setup_intent_payment_method ON setup_intent (merchant, payment_method, id) WHERE payment_method IS NOT NULL;
COMMENT ON INDEX setup_intent_payment_method IS 'CREATE INDEX setup_intent_payment_method ON setup_intent (merchant, payment_method, id) WHERE payment_method IS NOT NULL';
COMMENT ON TABLE setup_intent IS 'A card on its way to being kept for later payments.';
COMMENT ON COLUMN setup_intent."id" IS 'seti_…';
COMMENT ON COLUMN setup_intent."merchant" IS 'whose';
COMMENT ON COLUMN setup_intent."created" IS 'Unix seconds';
COMMENT ON COLUMN setup_intent."status" IS 'name of the state in setup_intent.h';
COMMENT ON COLUMN setup_intent."usage" IS 'on_session or off_session';
COMMENT ON COLUMN setup_intent."client_secret" IS 'seti_…_secret_…';
COMMENT ON COLUMN setup_intent."attempt" IS 'the one that is open, if any';
COMMENT ON COLUMN setup_intent."latest_attempt" IS 'setatt_…';
COMMENT ON COLUMN setup_intent."challenge" IS 'the newest that its payer was asked to answer, as long as it counts';
COMMENT ON COLUMN setup_intent."next_action" IS 'object; shown while it requires action';
COMMENT ON COLUMN setup_intent."last_setup_error" IS 'object, without its payment_method';
COMMENT ON COLUMN setup_intent."last_error_method" IS 'the payment method of last_setup_error';
COMMENT ON COLUMN setup_intent."automatic_payment_methods" IS 'object';
COMMENT ON COLUMN setup_intent."payment_method_types" IS 'array';
COMMENT ON COLUMN setup_intent."payment_method_options" IS 'object';
COMMENT ON COLUMN setup_intent."metadata" IS 'object of strings';
COMMENT ON COLUMN setup_intent."checkout_session" IS 'the checkout session that it is the set-up of, if any';

-- A payer who is asked to prove who they are, on a page of ours, once.
CREATE TABLE IF NOT EXISTS challenge (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "state" text COLLATE "C",
    "secret" text COLLATE "C",
    "expires_at" bigint NOT NULL,
    "payment_intent" text COLLATE "C",
    "setup_intent" text COLLATE "C",
    "attempt" text COLLATE "C",
    "payment_method" text COLLATE "C",
    "amount" bigint NOT NULL,
    "currency" text COLLATE "C",
    "return_url" text COLLATE "C",
    "livemode" boolean NOT NULL,
    "ended_at" bigint,
    "slot" bigint NOT NULL,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE challenge
    ADD COLUMN IF NOT EXISTS "state" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "secret" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "expires_at" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "payment_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "attempt" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "amount" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "return_url" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "livemode" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "ended_at" bigint,
    ADD COLUMN IF NOT EXISTS "slot" bigint NOT NULL DEFAULT 0;
ALTER TABLE challenge ALTER COLUMN "expires_at" DROP DEFAULT;
ALTER TABLE challenge ALTER COLUMN "amount" DROP DEFAULT;
ALTER TABLE challenge ALTER COLUMN "livemode" DROP DEFAULT;
ALTER TABLE challenge ALTER COLUMN "slot" DROP DEFAULT;
ALTER TABLE challenge SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.challenge'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE challenge DROP CONSTRAINT challenge_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS challenge_due ON challenge (expires_at) WHERE state = 'open';
COMMENT ON INDEX challenge_due IS 'CREATE INDEX challenge_due ON challenge (expires_at) WHERE state = ''open''';
COMMENT ON TABLE challenge IS 'A payer who is asked to prove who they are, on a page of ours, once.';
COMMENT ON COLUMN challenge."id" IS 'tds_…';
COMMENT ON COLUMN challenge."merchant" IS 'whose';
COMMENT ON COLUMN challenge."created" IS 'Unix seconds';
COMMENT ON COLUMN challenge."state" IS 'open, passed or failed';
COMMENT ON COLUMN challenge."secret" IS 'who shows it may answer';
COMMENT ON COLUMN challenge."expires_at" IS 'Unix seconds: what comes later is a failure';
COMMENT ON COLUMN challenge."payment_intent" IS 'what it is for';
COMMENT ON COLUMN challenge."setup_intent" IS 'or this';
COMMENT ON COLUMN challenge."attempt" IS 'the one that was challenged';
COMMENT ON COLUMN challenge."payment_method" IS 'the card';
COMMENT ON COLUMN challenge."amount" IS 'minor units; 0 for a set-up';
COMMENT ON COLUMN challenge."return_url" IS 'where the payer goes afterwards';
COMMENT ON COLUMN challenge."ended_at" IS 'Unix seconds';
COMMENT ON COLUMN challenge."slot" IS 'of the merchant: its owner ends it when its time is over';

-- One try to confirm a set-up.
CREATE TABLE IF NOT EXISTS setup_attempt (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "setup_intent" text COLLATE "C",
    "status" text COLLATE "C",
    "usage" text COLLATE "C",
    "customer" text COLLATE "C",
    "payment_method" text COLLATE "C",
    "payment_method_details" text COMPRESSION lz4 COLLATE "C",
    "setup_error" text COMPRESSION lz4 COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE setup_attempt
    ADD COLUMN IF NOT EXISTS "setup_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "usage" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method_details" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_error" text COMPRESSION lz4 COLLATE "C";
ALTER TABLE setup_attempt SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.setup_attempt'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE setup_attempt DROP CONSTRAINT setup_attempt_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS setup_attempt_setup_intent ON setup_attempt (setup_intent, merchant, id);
COMMENT ON INDEX setup_attempt_setup_intent IS 'CREATE INDEX setup_attempt_setup_intent ON setup_attempt (setup_intent, merchant, id)';
COMMENT ON TABLE setup_attempt IS 'One try to confirm a set-up.';
COMMENT ON COLUMN setup_attempt."id" IS 'setatt_…';
COMMENT ON COLUMN setup_attempt."merchant" IS 'whose';
COMMENT ON COLUMN setup_attempt."created" IS 'Unix seconds';
COMMENT ON COLUMN setup_attempt."status" IS 'processing, requires_action, requires_confirmation, succeeded, failed or abandoned';
COMMENT ON COLUMN setup_attempt."usage" IS 'on_session or off_session';
COMMENT ON COLUMN setup_attempt."payment_method_details" IS 'object';
COMMENT ON COLUMN setup_attempt."setup_error" IS 'object, without its payment_method';

-- A page where somebody pays, or leaves a card for later.
CREATE TABLE IF NOT EXISTS checkout_session (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "slot" bigint NOT NULL,
    "status" text COLLATE "C",
    "mode" text COLLATE "C",
    "payment_status" text COLLATE "C",
    "currency" text COLLATE "C",
    "amount_total" bigint,
    "success_url" text COLLATE "C",
    "cancel_url" text COLLATE "C",
    "client_reference_id" text COLLATE "C",
    "customer" text COLLATE "C",
    "customer_email" text COLLATE "C",
    "customer_creation" text COLLATE "C",
    "email" text COLLATE "C",
    "customer_details" text COMPRESSION lz4 COLLATE "C",
    "payment_intent" text COLLATE "C",
    "setup_intent" text COLLATE "C",
    "expires_at" bigint NOT NULL,
    "line_items" text COMPRESSION lz4 COLLATE "C",
    "intent_data" text COMPRESSION lz4 COLLATE "C",
    "payment_method_types" text COMPRESSION lz4 COLLATE "C",
    "three_d_secure" text COLLATE "C",
    "submit_type" text COLLATE "C",
    "locale" text COLLATE "C",
    "billing_address_collection" text COLLATE "C",
    "phone" boolean NOT NULL,
    "metadata" text COMPRESSION lz4 COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE checkout_session
    ADD COLUMN IF NOT EXISTS "slot" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "mode" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_status" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "currency" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "amount_total" bigint,
    ADD COLUMN IF NOT EXISTS "success_url" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "cancel_url" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "client_reference_id" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer_email" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer_creation" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "email" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "customer_details" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "expires_at" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "line_items" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "intent_data" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_method_types" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "three_d_secure" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "submit_type" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "locale" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "billing_address_collection" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "phone" boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS "metadata" text COMPRESSION lz4 COLLATE "C";
ALTER TABLE checkout_session ALTER COLUMN "slot" DROP DEFAULT;
ALTER TABLE checkout_session ALTER COLUMN "expires_at" DROP DEFAULT;
ALTER TABLE checkout_session ALTER COLUMN "phone" DROP DEFAULT;
ALTER TABLE checkout_session SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.checkout_session'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE checkout_session DROP CONSTRAINT checkout_session_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
ALTER TABLE checkout_session ADD CHECK (amount_total IS NULL OR amount_total > 0);
CREATE INDEX IF NOT EXISTS checkout_session_id ON checkout_session USING hash (id);
COMMENT ON INDEX checkout_session_id IS 'CREATE INDEX checkout_session_id ON checkout_session USING hash (id)';
CREATE INDEX IF NOT EXISTS checkout_session_due ON checkout_session (expires_at) WHERE status = 'open';
COMMENT ON INDEX checkout_session_due IS 'CREATE INDEX checkout_session_due ON checkout_session (expires_at) WHERE status = ''open''';
CREATE INDEX IF NOT EXISTS checkout_session_payment_intent ON checkout_session (payment_intent, merchant, id) WHERE payment_intent IS NOT NULL;
COMMENT ON INDEX checkout_session_payment_intent IS 'CREATE INDEX checkout_session_payment_intent ON checkout_session (payment_intent, merchant, id) WHERE payment_intent IS NOT NULL';
CREATE INDEX IF NOT EXISTS checkout_session_customer ON checkout_session (merchant, customer, id) WHERE customer IS NOT NULL;
COMMENT ON INDEX checkout_session_customer IS 'CREATE INDEX checkout_session_customer ON checkout_session (merchant, customer, id) WHERE customer IS NOT NULL';
COMMENT ON TABLE checkout_session IS 'A page where somebody pays, or leaves a card for later.';
COMMENT ON COLUMN checkout_session."id" IS 'cs_test_…; whoever knows it may see the page and pay';
COMMENT ON COLUMN checkout_session."merchant" IS 'whose';
COMMENT ON COLUMN checkout_session."created" IS 'Unix seconds';
COMMENT ON COLUMN checkout_session."slot" IS 'of the merchant: its owner lets it expire';
COMMENT ON COLUMN checkout_session."status" IS 'open, complete or expired';
COMMENT ON COLUMN checkout_session."mode" IS 'payment or setup';
COMMENT ON COLUMN checkout_session."payment_status" IS 'unpaid, paid or no_payment_required';
COMMENT ON COLUMN checkout_session."amount_total" IS 'minor units; absent in mode setup';
COMMENT ON COLUMN checkout_session."success_url" IS 'as given, {CHECKOUT_SESSION_ID} and all';
COMMENT ON COLUMN checkout_session."customer_email" IS 'as the merchant gave it';
COMMENT ON COLUMN checkout_session."customer_creation" IS 'always or if_required';
COMMENT ON COLUMN checkout_session."email" IS 'customer_details.email';
COMMENT ON COLUMN checkout_session."customer_details" IS 'object: address, email, name, phone';
COMMENT ON COLUMN checkout_session."payment_intent" IS 'made when somebody first pays';
COMMENT ON COLUMN checkout_session."setup_intent" IS 'likewise, in mode setup';
COMMENT ON COLUMN checkout_session."expires_at" IS 'Unix seconds';
COMMENT ON COLUMN checkout_session."line_items" IS 'array of objects, see checkout_items.c';
COMMENT ON COLUMN checkout_session."intent_data" IS 'object: payment_intent_data or setup_intent_data';
COMMENT ON COLUMN checkout_session."payment_method_types" IS 'array';
COMMENT ON COLUMN checkout_session."three_d_secure" IS 'payment_method_options.card.request_three_d_secure';
COMMENT ON COLUMN checkout_session."submit_type" IS 'auto, book, donate or pay';
COMMENT ON COLUMN checkout_session."phone" IS 'the page asks for a telephone number';
COMMENT ON COLUMN checkout_session."metadata" IS 'object of strings';

-- A card as it may be used, once and within a day.
CREATE TABLE IF NOT EXISTS token (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "card" text COLLATE "C",
    "used" boolean NOT NULL,
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE token
    ADD COLUMN IF NOT EXISTS "card" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "used" boolean NOT NULL DEFAULT false;
ALTER TABLE token ALTER COLUMN "used" DROP DEFAULT;
ALTER TABLE token SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.token'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE token DROP CONSTRAINT token_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
COMMENT ON TABLE token IS 'A card as it may be used, once and within a day.';
COMMENT ON COLUMN token."id" IS 'tok_…';
COMMENT ON COLUMN token."merchant" IS 'whose';
COMMENT ON COLUMN token."created" IS 'Unix seconds';
COMMENT ON COLUMN token."card" IS 'card_…: the payment method that it stands for';
COMMENT ON COLUMN token."used" IS 'it was used, and is good for nothing more';

-- What a payer chose, to confirm a payment with, once.
CREATE TABLE IF NOT EXISTS confirmation_token (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "expires_at" bigint NOT NULL,
    "payment_method" text COLLATE "C",
    "return_url" text COLLATE "C",
    "setup_future_usage" text COLLATE "C",
    "shipping" text COMPRESSION lz4 COLLATE "C",
    "payment_intent" text COLLATE "C",
    "setup_intent" text COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE confirmation_token
    ADD COLUMN IF NOT EXISTS "expires_at" bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS "payment_method" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "return_url" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_future_usage" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "shipping" text COMPRESSION lz4 COLLATE "C",
    ADD COLUMN IF NOT EXISTS "payment_intent" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "setup_intent" text COLLATE "C";
ALTER TABLE confirmation_token ALTER COLUMN "expires_at" DROP DEFAULT;
ALTER TABLE confirmation_token SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.confirmation_token'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE confirmation_token DROP CONSTRAINT confirmation_token_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
COMMENT ON TABLE confirmation_token IS 'What a payer chose, to confirm a payment with, once.';
COMMENT ON COLUMN confirmation_token."id" IS 'ctoken_…';
COMMENT ON COLUMN confirmation_token."merchant" IS 'whose';
COMMENT ON COLUMN confirmation_token."created" IS 'Unix seconds';
COMMENT ON COLUMN confirmation_token."expires_at" IS 'Unix seconds';
COMMENT ON COLUMN confirmation_token."payment_method" IS 'pm_…, made for it unless it was there before';
COMMENT ON COLUMN confirmation_token."return_url" IS 'where the payer comes back to';
COMMENT ON COLUMN confirmation_token."setup_future_usage" IS 'on_session or off_session';
COMMENT ON COLUMN confirmation_token."shipping" IS 'object';
COMMENT ON COLUMN confirmation_token."payment_intent" IS 'the payment that it was used for';
COMMENT ON COLUMN confirmation_token."setup_intent" IS 'the set-up that it was used for';

-- A wish that an endpoint should hear of an event once more.
CREATE TABLE IF NOT EXISTS resend (
    "id" text COLLATE "C" NOT NULL,
    "merchant" text COLLATE "C" NOT NULL,
    "version" bigint NOT NULL,
    "created" bigint NOT NULL,
    "event" text COLLATE "C",
    "endpoint" text COLLATE "C",
    PRIMARY KEY (merchant, id)
) WITH (fillfactor = 80);
ALTER TABLE resend
    ADD COLUMN IF NOT EXISTS "event" text COLLATE "C",
    ADD COLUMN IF NOT EXISTS "endpoint" text COLLATE "C";
ALTER TABLE resend SET (fillfactor = 80);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.resend'::regclass AND contype = 'p'
                   AND pg_get_constraintdef(oid) = 'PRIMARY KEY (merchant, id)') THEN
        ALTER TABLE resend DROP CONSTRAINT resend_pkey, ADD PRIMARY KEY (merchant, id);
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS resend_created ON resend (created);
COMMENT ON INDEX resend_created IS 'CREATE INDEX resend_created ON resend (created)';
COMMENT ON TABLE resend IS 'A wish that an endpoint should hear of an event once more.';
COMMENT ON COLUMN resend."id" IS 'rsd_…';
COMMENT ON COLUMN resend."merchant" IS 'whose';
COMMENT ON COLUMN resend."created" IS 'Unix seconds';
COMMENT ON COLUMN resend."event" IS 'evt_…';
COMMENT ON COLUMN resend."endpoint" IS 'we_…';
