/* network_seed: the simulated network's side of payments that were put into the tables.
 *
 * Reads lines from standard input, `REFERENCE MERCHANT NETWORK_ID CREATED_MS`, and writes for each
 * what the network keeps of `like`, a reference that it knows, under that other name. An empty line
 * makes all before it durable and is answered with the line `written`. The same line may come
 * twice. The network may run meanwhile, and waits for as long as a batch takes. */
#pragma once

int network_seed(const char *home, const char *like);
