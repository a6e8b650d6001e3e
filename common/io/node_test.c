#include "node.h"

#include "home_for_tests.h"
#include "keys.h"
#include <criterion/criterion.h>
#include <string.h>
#include <zmq.h>

static void
make(void)
{
    home_make();
    node_make_keys(home, "ledger-1");
    node_make_keys(home, "payments-12");
    write_in_home("florin.conf", "log_level = error\n", 0600);
}

TestSuite(node, .init = make, .fini = home_remove, .timeout = 60);

static void
read_text(const char *path, char out[static 128])
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    out[fread(out, 1, 127, file)] = 0;
    fclose(file);
}

Test(node, knows_itself_and_the_public_keys_of_others)
{
    struct node *node = node_start(home, "payments-12");
    uint8_t key[32], own[32];
    cr_assert_str_eq(node_home(node), home);
    cr_assert_str_eq(node_name(node), "payments-12");
    cr_assert_str_eq(node_role(node), "payments");
    cr_assert_eq(node_instance(node), 12);
    cr_assert(node_public_key(node, "ledger-1", key));
    cr_assert(node_public_key(node, "payments-12", own));
    cr_assert_neq(memcmp(key, own, 32), 0);
    cr_assert_not(node_public_key(node, "ledger-2", key));
    cr_assert_not(node_public_key(node, "../ledger-1", key));
    node_stop(&node);
    cr_assert_null(node);
    node_stop(&node);
}

Test(node, keys_are_made_once)
{
    char first[128], second[128];
    struct stat status;
    read_text(in_home("keys/ledger-1.key"), first);
    node_make_keys(home, "ledger-1");
    read_text(in_home("keys/ledger-1.key"), second);
    cr_assert_str_eq(first, second);
    cr_assert_eq(stat(in_home("keys/ledger-1.key"), &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0600);

    /* a public file that was lost comes back, the same */
    read_text(in_home("keys/public/ledger-1.pub"), first);
    cr_assert_eq(unlink(in_home("keys/public/ledger-1.pub")), 0);
    node_make_keys(home, "ledger-1");
    read_text(in_home("keys/public/ledger-1.pub"), second);
    cr_assert_str_eq(first, second);
}

struct name {
    const char *name;
    bool good;
};

Test(node, a_name_is_a_role_a_hyphen_and_a_number)
{
    static const struct name names[] = {
        {"ledger-1", true},
        {"ledger-9999", true},
        {"ledger-0", false},
        {"ledger-01", false},
        {"ledger-10000", false},
        {"ledger-", false},
        {"ledger", false},
        {"-1", false},
        {"", false},
        {"bank-1", false},
        {"ledger-1 ", false},
        {"ledger-x", false},
        {"ledger--1", false},
        {"ledger-ledger-1", false},
        {"../ledger-1", false},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char role[NODE_NAME_MAX + 1];
        int instance;
        cr_assert_eq(name_split(names[i].name, role, &instance), names[i].good, "%s",
                     names[i].name);
    }
}

Test(node, endpoints_are_in_the_run_folder)
{
    char endpoint[256], expected[256];
    link_endpoint(home, LINK_ledger_commands, 2, endpoint, sizeof endpoint);
    snprintf(expected, sizeof expected, "ipc://%s/run/ledger_commands-2", home);
    cr_assert_str_eq(endpoint, expected);
    struct stat status;
    cr_assert_eq(stat(in_home("run"), &status), 0);
    cr_assert_eq(status.st_mode & 07777, 0700);
}

/* --- what a node does not start with ------------------------------------------------------------
 */

static void
write_keys(const char *public_z85, const char *secret_z85)
{
    char text[128];
    snprintf(text, sizeof text, "%s\n%s\n", public_z85, secret_z85);
    write_in_home("keys/ledger-1.key", text, 0600);
}

#define ZERO "0000000000000000000000000000000000000000"

Test(node, does_not_start_without_its_key, .exit_code = 1)
{
    unlink(in_home("keys/ledger-1.key"));
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_a_key_that_others_may_read, .exit_code = 1)
{
    chmod(in_home("keys/ledger-1.key"), 0644);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_a_key_that_its_group_may_read, .exit_code = 1)
{
    chmod(in_home("keys/ledger-1.key"), 0640);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_a_key_behind_a_symbolic_link, .exit_code = 1)
{
    rename(in_home("keys/ledger-1.key"), in_home("elsewhere"));
    cr_assert_eq(symlink(in_home("elsewhere"), in_home("keys/ledger-1.key")), 0);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_a_key_of_zeros, .exit_code = 1)
{
    write_keys(ZERO, ZERO);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_the_published_client_key, .exit_code = 1)
{
    write_keys("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
               "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs");
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_the_published_server_key, .exit_code = 1)
{
    write_keys("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
               "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6");
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_two_keys_of_different_pairs, .exit_code = 1)
{
    char a_public[41], a_secret[41], b_public[41], b_secret[41];
    zmq_curve_keypair(a_public, a_secret);
    zmq_curve_keypair(b_public, b_secret);
    write_keys(a_public, b_secret);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_with_a_key_file_that_was_cut, .exit_code = 1)
{
    truncate(in_home("keys/ledger-1.key"), 60);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_when_two_roles_have_one_key, .exit_code = 1)
{
    char text[128];
    read_text(in_home("keys/public/payments-12.pub"), text);
    write_in_home("keys/public/vault-1.pub", text, 0644);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_when_others_may_add_keys, .exit_code = 1)
{
    chmod(in_home("keys/public"), 0777);
    node_start(home, "ledger-1");
}

Test(node, does_not_start_under_a_name_that_is_none, .exit_code = 1)
{
    node_start(home, "bank-1");
}

Test(node, does_not_start_without_a_home, .exit_code = 1)
{
    node_start(in_home("nothing"), "ledger-1");
}

Test(node, does_not_start_with_settings_that_are_wrong, .exit_code = 1)
{
    write_in_home("florin.conf", "prot = 1\n", 0600);
    node_start(home, "ledger-1");
}

/* --- public keys that are left out --------------------------------------------------------------
 */

static unsigned long
count_of_keys(void)
{
    struct public_key *keys;
    unsigned long count;
    char error[512];
    cr_assert(keys_read_all(home, &keys, &count, error, sizeof error), "%s", error);
    free(keys);
    return count;
}

Test(node, public_keys_that_are_not_to_be_trusted_are_left_out)
{
    cr_assert_eq(count_of_keys(), 2);
    write_in_home("keys/public/vault-1.pub", ZERO "\n", 0644);
    write_in_home("keys/public/vault-2.pub", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n", 0644);
    write_in_home("keys/public/vault-3.pub", "too short\n", 0644);
    write_in_home("keys/public/vault-4.pub", "", 0644);
    write_in_home("keys/public/notes.txt", "hello\n", 0644);
    write_in_home("keys/public/bank-1.pub", "hello\n", 0644);
    cr_assert_eq(count_of_keys(), 2);
    node_make_keys(home, "network-1");
    cr_assert_eq(count_of_keys(), 3);
    chmod(in_home("keys/public/network-1.pub"), 0666);
    cr_assert_eq(count_of_keys(), 2);
}
