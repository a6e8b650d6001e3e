"""Drives Florin with the stripe library as Debian ships it; see README.md.

The library's own HTTP client is listened to: at the end every operation of operations.txt must have
been asked, and have succeeded at least once.
"""
import os
import re
import sys
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

import stripe
from stripe.api_requestor import APIRequestor
from stripe.http_client import RequestsClient

HERE = os.path.dirname(os.path.abspath(__file__))
OPERATIONS = os.path.join(HERE, "../coverage/operations.txt")
CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
BACK = "https://shop.example/done"

asked = {}  # (method, path) → the statuses that it was answered with


class ListeningClient(RequestsClient):
    def request(self, method, url, headers, post_data=None):
        answer = super().request(method, url, headers, post_data)
        path = urllib.parse.urlsplit(url).path
        asked.setdefault((method.upper(), path), []).append(answer[1])
        return answer


stripe.api_base = os.environ["FLORIN_URL"]
stripe.api_key = os.environ["FLORIN_SECRET_KEY"]
stripe.default_http_client = ListeningClient()
stripe.max_network_retries = 3
stripe.enable_telemetry = False


def request(method, path, **params):
    """What this version of the library has no method for."""
    answer, key = APIRequestor().request(method, path, params)
    return stripe.util.convert_to_stripe_object(answer, key)


def pay(**more):
    return stripe.PaymentIntent.create(**{
        "amount": 2000, "currency": "usd", "payment_method_types": ["card"],
        "payment_method": "pm_card_visa", "confirm": True, **more})


def eventually(what, look, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


def fee(amount):
    return (amount * 29 + 500) // 1000 + 30


# --- payments -------------------------------------------------------------------------------------


class Payments(unittest.TestCase):
    def test_a_card_pays_at_once(self):
        intent = pay(metadata={"order": "7"}, expand=["latest_charge.balance_transaction"])
        self.assertIsInstance(intent, stripe.PaymentIntent)
        self.assertEqual(intent.status, "succeeded")
        self.assertEqual(intent.amount_received, 2000)
        charge = intent.latest_charge
        self.assertIsInstance(charge, stripe.Charge)
        self.assertEqual(charge.payment_method_details.card.last4, "4242")
        self.assertIsInstance(charge.balance_transaction, stripe.BalanceTransaction)
        self.assertEqual(charge.balance_transaction.net, 2000 - fee(2000))
        again = stripe.PaymentIntent.retrieve(intent.id)
        self.assertEqual(again.metadata.to_dict(), {"order": "7"})
        changed = stripe.PaymentIntent.modify(intent.id, metadata={"order": "", "paid": "yes"})
        self.assertEqual(changed.metadata.to_dict(), {"paid": "yes"})
        again.refresh()
        self.assertEqual(again.metadata.paid, "yes")
        again.description = "Seven"
        again.save()
        self.assertEqual(stripe.PaymentIntent.retrieve(intent.id).description, "Seven")

    def test_a_payment_is_confirmed_captured_and_canceled(self):
        intent = stripe.PaymentIntent.create(
            amount=3000, currency="eur", payment_method_types=["card"], capture_method="manual")
        self.assertEqual(intent.status, "requires_payment_method")
        held = intent.confirm(payment_method="pm_card_mastercard")
        self.assertEqual(held.status, "requires_capture")
        taken = stripe.PaymentIntent.capture(intent.id, amount_to_capture=1000)
        self.assertEqual((taken.status, taken.amount_received), ("succeeded", 1000))
        other = pay(capture_method="manual")
        self.assertEqual(other.cancel(cancellation_reason="abandoned").status, "canceled")

    def test_more_is_held(self):
        intent = pay(capture_method="manual", payment_method_options={
            "card": {"request_incremental_authorization": "if_available"}})
        more = stripe.PaymentIntent.increment_authorization(intent.id, amount=2500)
        self.assertEqual(more.amount_capturable, 2500)
        self.assertEqual(more.capture().amount_received, 2500)

    def test_a_payer_is_asked_and_approves(self):
        intent = pay(payment_method="pm_card_authenticationRequired", return_url=BACK)
        self.assertEqual(intent.status, "requires_action")
        self.assertEqual(intent.next_action.type, "redirect_to_url")
        answer_page(intent.next_action.redirect_to_url.url, "approve")
        self.assertEqual(stripe.PaymentIntent.retrieve(intent.id).status, "succeeded")

    def test_pages_follow_each_other_by_themselves(self):
        customer = stripe.Customer.create(name="Pages")
        made = [pay(amount=500 + i, customer=customer.id).id for i in range(7)]
        page = stripe.PaymentIntent.list(customer=customer.id, limit=3)
        self.assertEqual([p.id for p in page.data], made[:3:-1])
        self.assertTrue(page.has_more)
        self.assertEqual([p.id for p in page.auto_paging_iter()], made[::-1])
        self.assertEqual([p.id for p in page.next_page().data], made[3:0:-1])
        oldest = stripe.PaymentIntent.list(customer=customer.id, limit=3, ending_before=made[0])
        self.assertEqual([p.id for p in oldest.auto_paging_iter()], made[1:])


class Charges(unittest.TestCase):
    def test_a_token_is_charged_held_and_captured(self):
        token = stripe.Token.create(card=CARD)
        self.assertFalse(stripe.Token.retrieve(token.id).used)
        charge = stripe.Charge.create(amount=1500, currency="usd", source=token.id)
        self.assertTrue(charge.paid)
        self.assertTrue(stripe.Token.retrieve(token.id).used)
        held = stripe.Charge.create(amount=1500, currency="usd", source="tok_visa", capture=False)
        self.assertFalse(held.captured)
        self.assertEqual(held.capture(amount=700).amount_captured, 700)
        stripe.Charge.modify(charge.id, description="One")
        self.assertEqual(stripe.Charge.retrieve(charge.id).description, "One")
        self.assertIn(charge.id, [c.id for c in stripe.Charge.list(limit=100).auto_paging_iter()])
        self.assertEqual(charge.mark_as_safe().fraud_details.user_report, "safe")

    def test_refunds(self):
        intent = pay()
        part = stripe.Refund.create(payment_intent=intent.id, amount=500, reason="requested_by_customer")
        self.assertEqual((part.status, part.amount), ("succeeded", 500))
        rest = stripe.Refund.create(charge=intent.latest_charge)
        self.assertEqual(rest.amount, 1500)
        self.assertEqual(stripe.Refund.modify(part.id, metadata={"a": "b"}).metadata.a, "b")
        self.assertEqual(stripe.Refund.retrieve(part.id).charge, intent.latest_charge)
        self.assertEqual([r.id for r in stripe.Refund.list(payment_intent=intent.id)], [rest.id, part.id])
        self.assertTrue(stripe.Charge.retrieve(intent.latest_charge).refunded)
        nested = request("get", f"/v1/charges/{intent.latest_charge}/refunds")
        self.assertEqual(len(nested.data), 2)

    def test_refunds_that_are_pending(self):
        intent = pay(payment_method="pm_card_pendingRefund")
        first = stripe.Refund.create(payment_intent=intent.id, amount=300)
        second = stripe.Refund.create(payment_intent=intent.id, amount=400)
        self.assertEqual(first.status, "pending")
        self.assertEqual(first.cancel().status, "canceled")
        self.assertEqual(stripe.Refund.TestHelpers.expire(second.id).status, "failed")

    def test_the_books(self):
        intent = pay(expand=["latest_charge"])
        txn = stripe.BalanceTransaction.retrieve(intent.latest_charge.balance_transaction)
        self.assertEqual((txn.amount, txn.fee), (2000, fee(2000)))
        listed = stripe.BalanceTransaction.list(source=intent.latest_charge.id)
        self.assertEqual([t.id for t in listed.data], [txn.id])
        balance = stripe.Balance.retrieve()
        self.assertTrue(any(b.currency == "usd" for b in balance.pending))


# --- cards and customers --------------------------------------------------------------------------


class Customers(unittest.TestCase):
    def test_a_customer_and_their_cards(self):
        customer = stripe.Customer.create(email="jo@example.com", metadata={"a": "1"})
        self.assertEqual(stripe.Customer.modify(customer.id, name="Jo").name, "Jo")
        method = stripe.PaymentMethod.create(type="card", card=CARD, billing_details={"name": "Jo"})
        method.attach(customer=customer.id)
        self.assertEqual(stripe.PaymentMethod.modify(method.id, metadata={"k": "v"}).metadata.k, "v")
        self.assertEqual(stripe.PaymentMethod.retrieve(method.id).customer, customer.id)
        self.assertEqual(stripe.Customer.retrieve_payment_method(customer.id, method.id).id, method.id)
        self.assertEqual([m.id for m in stripe.Customer.list_payment_methods(customer.id, type="card")], [method.id])
        self.assertEqual([m.id for m in stripe.PaymentMethod.list(customer=customer.id, type="card")], [method.id])
        self.assertEqual(pay(customer=customer.id, payment_method=method.id, off_session=True).status, "succeeded")
        self.assertIsNone(stripe.PaymentMethod.detach(method.id).customer)
        self.assertIn(customer.id, [c.id for c in stripe.Customer.list(email="jo@example.com").data])
        self.assertTrue(stripe.Customer.delete(customer.id).deleted)
        self.assertTrue(stripe.Customer.retrieve(customer.id).deleted)

    def test_older_cards(self):
        customer = stripe.Customer.create(source="tok_visa")
        card = stripe.Customer.create_source(customer.id, source="tok_mastercard")
        self.assertIsInstance(card, stripe.Card)
        self.assertEqual(stripe.Customer.retrieve_source(customer.id, card.id).brand, "MasterCard")
        changed = stripe.Customer.modify_source(customer.id, card.id, name="Jo")
        self.assertEqual(changed.name, "Jo")
        self.assertEqual(len(stripe.Customer.list_sources(customer.id).data), 2)
        self.assertTrue(stripe.Charge.create(amount=900, currency="usd", customer=customer.id, source=card.id).paid)
        self.assertTrue(stripe.Customer.delete_source(customer.id, card.id).deleted)


class SetUps(unittest.TestCase):
    def test_a_card_is_set_up(self):
        customer = stripe.Customer.create()
        setup = stripe.SetupIntent.create(customer=customer.id, payment_method_types=["card"])
        stripe.SetupIntent.modify(setup.id, description="For later")
        done = stripe.SetupIntent.confirm(setup.id, payment_method="pm_card_visa")
        self.assertEqual(done.status, "succeeded")
        self.assertEqual(stripe.SetupIntent.retrieve(setup.id).description, "For later")
        self.assertEqual(len(stripe.SetupIntent.list(customer=customer.id).data), 1)
        self.assertEqual(stripe.SetupAttempt.list(setup_intent=setup.id).data[0].status, "succeeded")
        other = stripe.SetupIntent.create(payment_method_types=["card"])
        self.assertEqual(other.cancel().status, "canceled")

    def test_micro_deposits_are_not_for_cards(self):
        setup = stripe.SetupIntent.create(payment_method_types=["card"])
        with self.assertRaises(stripe.error.InvalidRequestError) as told:
            setup.verify_microdeposits(amounts=[32, 45])
        self.assertEqual(told.exception.code, "setup_intent_unexpected_state")

    def test_confirmation_tokens(self):
        made = [request("post", "/v1/test_helpers/confirmation_tokens", payment_method="pm_card_visa") for _ in "ab"]
        self.assertEqual(request("get", f"/v1/confirmation_tokens/{made[0].id}").object, "confirmation_token")
        paid = stripe.PaymentIntent.create(amount=900, currency="usd", confirm=True, payment_method_types=["card"],
                                           confirmation_token=made[0].id)
        self.assertEqual(paid.status, "succeeded")
        setup = stripe.SetupIntent.create(confirm=True, payment_method_types=["card"], confirmation_token=made[1].id)
        self.assertEqual(setup.status, "succeeded")


class Checkout(unittest.TestCase):
    ITEMS = [{"quantity": 2, "price_data": {
        "currency": "usd", "unit_amount": 700, "product_data": {"name": "Tea"}}}]

    def test_a_session(self):
        session = stripe.checkout.Session.create(mode="payment", line_items=self.ITEMS, success_url=BACK)
        self.assertEqual((session.status, session.amount_total), ("open", 1400))
        self.assertEqual(stripe.checkout.Session.retrieve(session.id).url, session.url)
        self.assertEqual(request("post", f"/v1/checkout/sessions/{session.id}", metadata={"a": "b"}).metadata.a, "b")
        self.assertEqual(stripe.checkout.Session.list_line_items(session.id).data[0].description, "Tea")
        self.assertIn(session.id, [s.id for s in stripe.checkout.Session.list(limit=100).data])
        self.assertEqual(session.expire().status, "expired")


# --- events and webhooks --------------------------------------------------------------------------


class Hook:
    """A merchant's server, which verifies what it hears with the library."""

    def __init__(self):
        self.heard = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                payload = self.rfile.read(int(self.headers["Content-Length"]))
                hook.heard.append((payload, self.headers["Stripe-Signature"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"


class Webhooks(unittest.TestCase):
    def test_a_signature_is_verified(self):
        hook = Hook()
        endpoint = stripe.WebhookEndpoint.create(url=hook.url, enabled_events=["payment_intent.succeeded"])
        self.addCleanup(hook.server.shutdown)
        intent = pay()

        def find():
            for payload, signature in hook.heard:
                event = stripe.Webhook.construct_event(payload, signature, endpoint.secret)
                if event.data.object.id == intent.id:
                    return event, payload, signature
            return None

        event, payload, signature = eventually("the payment is told of", find)
        self.assertEqual(event.type, "payment_intent.succeeded")
        self.assertIsInstance(event.data.object, stripe.PaymentIntent)
        with self.assertRaises(stripe.error.SignatureVerificationError):
            stripe.Webhook.construct_event(payload.replace(b"2000", b"9000"), signature, endpoint.secret)
        with self.assertRaises(stripe.error.SignatureVerificationError):
            stripe.Webhook.construct_event(payload, signature, "whsec_another")
        self.assertEqual(stripe.Event.retrieve(event.id).data.object.id, intent.id)
        self.assertIn(event.id, [e.id for e in stripe.Event.list(type="payment_intent.succeeded", limit=100)])

        self.assertEqual(stripe.WebhookEndpoint.retrieve(endpoint.id).url, hook.url)
        self.assertEqual(stripe.WebhookEndpoint.modify(endpoint.id, disabled=True).status, "disabled")
        self.assertIn(endpoint.id, [e.id for e in stripe.WebhookEndpoint.list(limit=100).auto_paging_iter()])
        self.assertTrue(stripe.WebhookEndpoint.delete(endpoint.id).deleted)


# --- searching ------------------------------------------------------------------------------------


class Searching(unittest.TestCase):
    def test_what_was_made_is_found(self):
        mark = uuid.uuid4().hex
        customer = stripe.Customer.create(name="Sought", metadata={"mark": mark})
        made = [pay(customer=customer.id, metadata={"mark": mark}) for _ in range(3)]
        query = f"metadata['mark']:'{mark}'"
        ids = {i.id for i in made}
        eventually("payments are found", lambda: {i.id for i in stripe.PaymentIntent.search(query=query)} == ids)
        by_page = stripe.PaymentIntent.search_auto_paging_iter(query=query, limit=2)
        self.assertEqual({i.id for i in by_page}, ids)
        self.assertEqual([c.id for c in stripe.Customer.search(query=query)], [customer.id])
        charges = {i.latest_charge for i in made}
        self.assertEqual({c.id for c in stripe.Charge.search(query=f"customer:'{customer.id}'")}, charges)


# --- errors and keys ------------------------------------------------------------------------------


class Errors(unittest.TestCase):
    def refused(self, kind, call, **members):
        with self.assertRaises(kind) as told:
            call()
        error = told.exception
        for name, value in members.items():
            self.assertEqual(getattr(error, name), value, name)
        self.assertTrue(error.request_id.startswith("req_"))
        return error

    def test_a_declined_card(self):
        error = self.refused(stripe.error.CardError, lambda: pay(payment_method="pm_card_visa_chargeDeclined"),
                             http_status=402, code="card_declined")
        self.assertEqual(error.error.decline_code, "generic_decline")
        self.assertEqual(error.error.payment_intent.status, "requires_payment_method")
        blocked = self.refused(stripe.error.CardError, lambda: pay(payment_method="pm_card_radarBlock"))
        self.assertEqual(blocked.error.decline_code, "fraudulent")
        self.assertEqual(stripe.Charge.retrieve(blocked.error.charge).outcome.type, "blocked")

    def test_each_class(self):
        self.refused(stripe.error.InvalidRequestError, lambda: stripe.PaymentIntent.retrieve("pi_nothing"),
                     http_status=404, code="resource_missing")
        self.refused(stripe.error.InvalidRequestError, lambda: pay(color="red"),
                     http_status=400, code="parameter_unknown", param="color")
        self.refused(stripe.error.AuthenticationError,
                     lambda: stripe.Balance.retrieve(api_key="sk_test_nothing"), http_status=401)
        self.refused(stripe.error.PermissionError,
                     lambda: stripe.Balance.retrieve(api_key=os.environ["FLORIN_PUBLISHABLE_KEY"]), http_status=403)
        with self.assertRaises(stripe.error.APIConnectionError):
            unreachable()

    def test_a_key_asked_again(self):
        key = str(uuid.uuid4())
        first = pay(idempotency_key=key)
        again = pay(idempotency_key=key)
        self.assertEqual(first.id, again.id)
        self.assertEqual(first.last_response.body, again.last_response.body)
        self.assertEqual(again.last_response.headers["Idempotent-Replayed"], "true")
        self.refused(stripe.error.IdempotencyError, lambda: pay(amount=2100, idempotency_key=key), http_status=400)
        refused = str(uuid.uuid4())
        for _ in range(2):
            error = self.refused(stripe.error.CardError, lambda: pay(
                payment_method="pm_card_visa_chargeDeclined", idempotency_key=refused), code="card_declined")
        self.assertEqual(error.headers["Idempotent-Replayed"], "true")

    def test_an_older_version(self):
        intent = pay(stripe_version="2022-08-01")
        self.assertEqual(intent.charges.data[0].id, intent.latest_charge)


def unreachable():
    requestor = APIRequestor(api_base="http://127.0.0.1:1")
    patience, stripe.max_network_retries = stripe.max_network_retries, 0
    try:
        requestor.request("get", "/v1/balance", {})
    finally:
        stripe.max_network_retries = patience


def answer_page(url, decision):
    """What a payer's browser does on the page of a challenge."""
    page = urllib.request.urlopen(url).read().decode()
    action = urllib.parse.urljoin(url, re.search(r'<form method="post" action="([^"]*)">', page)[1])
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    try:
        urllib.request.build_opener(Stay).open(action, urllib.parse.urlencode({**fields, "decision": decision}).encode())
    except urllib.error.HTTPError as answer:
        assert answer.code == 303, answer.code


# --- what all that came to ------------------------------------------------------------------------


def promised():
    with open(OPERATIONS) as file:
        for line in file:
            words = line.split()
            if words and words[0] == "now":
                yield words[1], words[2]


class ZCoverage(unittest.TestCase):
    """Runs last."""

    # Refused for cards, always: that it answers as it must is tried above.
    NEVER = {("POST", "/v1/setup_intents/{id}/verify_microdeposits")}

    def test_every_operation_was_driven(self):
        missing, operations = [], list(promised())
        for method, template in operations:
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", template) + "$")
            # /v1/payment_intents/search is no payment's id
            answers = [status for (m, path), statuses in asked.items() if m == method and pattern.match(path)
                       and ("search" in template) == path.endswith("/search") for status in statuses]
            good = any(status == 200 for status in answers) or ((method, template) in self.NEVER and answers)
            if not good:
                missing.append(f"{method} {template}")
        print(f"{len(operations) - len(missing)} of {len(operations)} operations driven by stripe "
              f"{stripe.version.VERSION} of Debian")
        self.assertEqual(missing, [])


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
