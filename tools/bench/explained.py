"""What stands in the way of each target: what the profile and the statements' times show, and what was
tried without gain. The report has it beside every target that its run did not meet.

The figures here were seen while that was looked for, on 2 cores; those of the report's own run stand in
its tables.
"""

# The beginning of a target's name → sentences.
EXPLAINED = {
    "payments beside pgbench TPC-B": [
        "On 2 cores, twice pgbench's 2,500 to 3,500 a second is 285 to 400 µs of CPU for each payment, the load "
        "generator's 20 included, with both processors busy all the time. A payment is at 320 to 430, and a "
        "tenth of the processors' time is idle while commits wait for the disk. Postgres' part rises in a run: "
        "from 114–138 µs in the first four rounds to 173–197 in the last three. Until ANALYZE was made short it rose to "
        "244, because its snapshot kept replaced rows; why it still rises is not known (1.5 GB of shared_buffers do not "
        "change it).",
        "Four tenths are Postgres', which writes two batches for a payment (the attempt before the network is "
        "asked, the outcome before the client hears of it): 10 rows made or changed and 12 entries of indexes, against "
        "pgbench's four rows, of which three are changed in place. A payment's "
        "statements, µs each at 55 a batch: beginning of the attempt 24–34, its end 23–28, key settled 20–22, "
        "charge 18–26, payment_intent 15–20, outbox 14–19, payment method 13–16, balance transaction 12–15, "
        "ledger transaction with postings 9–11, balances 8–9, key looked up 6–9, leader 2.5. Within them: "
        "entries of indexes 32 % (12 of them, five at random places because they begin with the merchant), "
        "growing the files 7 %, reading the arrays 6 %, CHECKs 4.5 %, waiting to flush the WAL 4.6 %.",
        "Tried without gain: COMMIT without waiting and one flush for several; two connections; one worker and "
        "one that stands by; 384 and 512 clients; batches of 48 to 256; no JSON of charges and methods (1 %); "
        "null columns left out (0); link-time optimization (1 %); huge pages, sizes of shared_buffers, lz4 for "
        "the WAL, wal_writer_delay, open_datasync, sync_file_range; processes bound to processors or reniced; "
        "packets sent on by the eight instead of by the turn, so that the next process begins sooner (less "
        "idle, as much more CPU).",
        "Left to do: charge, method and balance transaction within the payment's row (about 45 µs), an attempt's "
        "beginnings as one row a batch (about 12), its end and the key's in one statement."],
    "p99 at half that load": [
        "It is a queue. A payment costs 730 to 830 µs at half load, twice what it costs at full load, so that half "
        "the payments keep seven to eight tenths of the processors busy: each process takes a turn, with its system "
        "calls and its being woken, for a few packets instead of dozens (broker 52 µs a payment against 10, network "
        "52 against 16, gateway 110 against 48), and a batch of Postgres, which begins with 1.5 ms, holds 34 steps "
        "instead of 69. Whatever holds the disk or the processor for 50 ms then "
        "takes long to be made good: in seven loads of 6 to 10 s within an hour the p99 was 53, 53, 56, 58, 72, 91 and "
        "166 ms.",
        "Tried without gain: no checkpoints and no autovacuum meanwhile (150 to 335 ms: it is not they); a ledger "
        "that gathers for 4 or 20 ms (10 % less CPU, the same p99); processes that look at their sockets every "
        "0.5, 1 or 2 ms; no bitmap scans. The half-hour loads with 20,000 merchants show the same nearness of the "
        "limit: what is too much is refused at once with 503, and counted as failed in the table of memory."],
    "one payment alone": [
        "Two syncs of the disk and two batches of one: of 3.4 ms of CPU 1.6 are Postgres' (starting the "
        "executor 16 %, parsing CHECKs 10 %, the sync 13 %), and each message to the next process wakes a process "
        "that sleeps. 3.4 to 4.6 ms in six runs within an hour, 5.7 and 6.3 ms in full runs when machine and disk "
        "were slower.",
        "Left to do: statements of their own for a batch of one, without arrays (about 0.5 ms)."],
    "retrieve beside civetweb": [
        "civetweb answers its constant body within one process; a retrieve is a read by the gateway, two packets "
        "through the broker to a worker and two back, each encrypted and authenticated (CURVE) hop by hop, and the "
        "check of its key and limits. Of 40 µs the gateway takes 22, of which more than half is the kernel's send and "
        "receive, that civetweb pays too; libzmq's threads (CURVE, their own reads and writes) are a third of all, the "
        "worker's own code an eighth, Postgres nothing: the rows are in the worker's memory.",
        "A quarter of the processors' time is idle meanwhile: one thread works on its turn's packets while the others "
        "wait for them. Sending them on by the eight instead of by the turn took idleness from 46 to 30 % of a "
        "processor, and added as much CPU as it gave back (42 to 54 % of civetweb before, 44 to 63 % with it, in "
        "turns): not kept. With 256 connections instead of 64 the same build is at 53 and 68 %.",
        "Left to do: a link from the gateway to the worker for what only reads, past the broker (about 9 µs)."],
}


def explained(targets):
    """[(target, sentences)] of those not met; each text above belongs to exactly one target."""
    names = [what for what, *_ in targets]
    for beginning in EXPLAINED:
        assert sum(name.startswith(beginning) for name in names) == 1, f"no target begins with {beginning!r}"
    return [(what, next((text for beginning, text in EXPLAINED.items() if what.startswith(beginning)),
                        ["Not looked into yet."]))
            for what, _, _, met in targets if met is False]
